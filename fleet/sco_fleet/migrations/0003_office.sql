-- The office's page: its users and their sessions, who did what, daily reconciliations; and the order that lists are read in.

CREATE TABLE office_users (
    name text PRIMARY KEY,                  -- by which he or she logs in
    full_name text NOT NULL DEFAULT '',     -- what lanes journal with a decision
    role text NOT NULL CHECK (role IN ('viewer', 'decider', 'administrator')),
    password text NOT NULL,                 -- scrypt, see sco_fleet.office.passwords
    disabled boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE office_sessions (
    secret_hash bytea PRIMARY KEY,          -- SHA-256 of what the browser's cookie holds
    user_name text NOT NULL REFERENCES office_users ON DELETE CASCADE,
    begun_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    address text NOT NULL
);
CREATE INDEX office_sessions_by_user ON office_sessions (user_name);

-- Logins that failed, for as long as they slow down the next one.
CREATE TABLE office_login_failures (
    user_name text NOT NULL,
    address text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX office_login_failures_by_time ON office_login_failures (at);

-- Who did what. Rows are only added: neither the page nor a mistake in a query can change or delete one.
CREATE TABLE office_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    user_name text NOT NULL,
    address text NOT NULL,
    action text NOT NULL,                   -- login, decision, alarm_seen, reconcile, export, user_added, ...
    subject text NOT NULL,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX office_audit_by_user ON office_audit (user_name, id);
CREATE FUNCTION office_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only added to';
END $$;
CREATE TRIGGER office_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON office_audit
    FOR EACH STATEMENT EXECUTE FUNCTION office_audit_is_kept();

CREATE TABLE reconciliations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day date NOT NULL,
    time_zone text NOT NULL,
    source text NOT NULL,                   -- 'list': the acquirer was asked; otherwise the name of the file
    made_by text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'whole', 'incomplete')),
    problem text NOT NULL DEFAULT '',       -- why the acquirer's list is not whole
    bank_paid integer NOT NULL DEFAULT 0,
    bank_kopecks bigint NOT NULL DEFAULT 0,
    lanes_paid integer NOT NULL DEFAULT 0,
    lanes_kopecks bigint NOT NULL DEFAULT 0,
    lanes_behind integer NOT NULL DEFAULT 0 -- from which nothing has come since the day ended
);
CREATE UNIQUE INDEX reconciliations_running ON reconciliations (day) WHERE status = 'running';

CREATE TABLE differences (
    reconciliation bigint NOT NULL REFERENCES reconciliations ON DELETE CASCADE,
    number integer NOT NULL,
    kind text NOT NULL,
    payment_id text,
    order_no text,
    at_ms bigint,                           -- by the acquirer's clock, by the lane's where the acquirer has no time
    bank_status text,
    bank_kopecks bigint,
    lane text,                              -- not lane_id: these rows stay together where lanes are distributed
    epoch text,
    attempt text,
    lane_phase text,
    lane_kopecks bigint,
    case_number integer,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (reconciliation, number)
);

-- Lists are read in the order of an index, a page at a time.
DROP INDEX attempts_by_order;
CREATE INDEX attempts_by_order ON attempts (order_no, begun_at_ms);
CREATE INDEX attempts_by_till ON attempts (till_id, begun_at_ms) WHERE till_id IS NOT NULL;
CREATE INDEX attempts_by_lane ON attempts (lane_id, begun_at_ms);
CREATE INDEX cases_by_time ON cases (opened_at_ms);
CREATE INDEX cases_by_lane ON cases (lane_id, opened_at_ms);
CREATE INDEX cases_by_attempt ON cases (lane_id, epoch, attempt);
CREATE INDEX decisions_by_case ON decisions (lane_id, epoch, number, at_ms);
CREATE INDEX alarms_by_id ON alarms (id);
CREATE INDEX alarms_unseen ON alarms (id) WHERE seen_at IS NULL;

-- How many devices of a lane are faulty, so that the list of lanes need not look into what they sent.
ALTER TABLE lanes ADD COLUMN device_faults integer NOT NULL GENERATED ALWAYS AS (
    jsonb_array_length(jsonb_path_query_array(health, 'lax $.devices[*] ? (@.state == "fault")'))
) STORED;
