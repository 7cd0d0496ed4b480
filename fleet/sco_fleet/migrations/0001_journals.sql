-- What lanes send: each row of their journals as it is on the lane, and what is read from it for the office.
-- Every table of a lane has lane_id first in its key, so that Citus can distribute all of them by it.

CREATE TABLE lanes (
    lane_id text PRIMARY KEY,               -- PosID
    shop text NOT NULL,
    profile text NOT NULL DEFAULT '',       -- name of a settings layer for lanes of one kind
    token_hash bytea,                       -- SHA-256 of the lane's token; NULL: it may not send
    next_token_hash bytea,                  -- of the one that replaces it when the lane first uses it
    disabled boolean NOT NULL DEFAULT false,
    added_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz,
    version text NOT NULL DEFAULT '',
    clock_ahead_ms bigint,                  -- by how much the lane's clock is ahead of ours
    settings_hash text NOT NULL DEFAULT '',
    settings_version integer,
    health jsonb NOT NULL DEFAULT '{}'
);

-- One row per journal file that a lane has had: its last stored row.
CREATE TABLE journals (
    lane_id text NOT NULL,
    epoch text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_stored_at timestamptz NOT NULL DEFAULT now(),
    head_seq bigint NOT NULL DEFAULT 0,
    head_hash text NOT NULL DEFAULT repeat('0', 64),
    base_seq bigint NOT NULL DEFAULT 0,     -- the rows up to here were never sent: they are in an archive, or lost
    projected_seq bigint NOT NULL DEFAULT 0,-- attempts and cases are up to date to this row
    forked_at timestamptz,                  -- when a row came that is not the stored one
    PRIMARY KEY (lane_id, epoch)
);

-- Partitioned by the time that the lane wrote. What a lane with a clock far off writes goes into the default partition.
CREATE TABLE records (
    lane_id text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    attempt text NOT NULL,
    kind text NOT NULL,
    version integer NOT NULL,
    acquirer text NOT NULL,
    body text,                              -- as it was hashed; NULL: erased, see `sco-fleet erase`
    prev_hash text NOT NULL,
    hash text NOT NULL,
    written_by text,                        -- the row's own lane id (PosID) where it is not lane_id
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, epoch, seq, at_ms)
) PARTITION BY RANGE (at_ms);
CREATE TABLE records_other PARTITION OF records DEFAULT;
CREATE INDEX records_by_attempt ON records (lane_id, attempt, seq);

CREATE TABLE attempts (
    lane_id text NOT NULL,
    epoch text NOT NULL,
    attempt text NOT NULL,
    order_no text NOT NULL,
    till_id text,
    payment_id text,
    acquirer text NOT NULL,
    amount_kopecks bigint NOT NULL,
    total_kopecks bigint NOT NULL,
    mode integer NOT NULL,
    phase text NOT NULL,
    outcome text,
    reason text,
    presented boolean NOT NULL,
    begun_at_ms bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_at_ms bigint NOT NULL,
    PRIMARY KEY (lane_id, epoch, attempt)
);
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX attempts_by_payment ON attempts (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX attempts_by_time ON attempts (begun_at_ms);

CREATE TABLE cases (
    lane_id text NOT NULL,
    epoch text NOT NULL,
    number bigint NOT NULL,
    attempt text NOT NULL,
    opened_at_ms bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    closed_at_ms bigint,
    operator text,
    resolution text,
    PRIMARY KEY (lane_id, epoch, number)
);
CREATE INDEX cases_open ON cases (opened_at_ms) WHERE closed_at_ms IS NULL;

-- Decisions on cases that the office made; the lane journals them.
CREATE TABLE decisions (
    id uuid NOT NULL,
    lane_id text NOT NULL,
    epoch text NOT NULL,
    number bigint NOT NULL,
    phase text NOT NULL,                    -- where the payment was when it was made
    operator text NOT NULL,
    resolution text NOT NULL,
    at_ms bigint NOT NULL,
    made_by text NOT NULL,                  -- the office's user
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'applied', 'refused')),
    answer text NOT NULL DEFAULT '',
    answered_at timestamptz,
    PRIMARY KEY (lane_id, id)
);
CREATE UNIQUE INDEX decisions_waiting ON decisions (lane_id, epoch, number) WHERE status = 'waiting';

-- What the office must see that is no case of a lane.
CREATE TABLE alarms (
    id bigint GENERATED ALWAYS AS IDENTITY,
    lane_id text NOT NULL,
    kind text NOT NULL,                     -- journal_rolled_back, two_lanes_one_id, broken_chain, clock_off, ...
    detail text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    times integer NOT NULL DEFAULT 1,
    seen_by text,
    seen_at timestamptz,
    PRIMARY KEY (lane_id, id)
);
CREATE UNIQUE INDEX alarms_open ON alarms (lane_id, kind) WHERE seen_at IS NULL;
