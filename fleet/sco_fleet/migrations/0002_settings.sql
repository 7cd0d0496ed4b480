-- Settings: layers as they were written, and what was signed of them for each lane. Nothing is overwritten: a change is
-- another version.

CREATE TABLE settings_layers (
    kind text NOT NULL CHECK (kind IN ('chain', 'shop', 'profile', 'lane')),
    name text NOT NULL,                     -- of the shop, the profile or the lane; empty for the chain
    version integer NOT NULL,
    toml text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    comment text NOT NULL,
    PRIMARY KEY (kind, name, version)
);
CREATE FUNCTION settings_layers_are_never_changed() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a version of settings is never changed: add another one'; END $$;
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON settings_layers
    FOR EACH ROW EXECUTE FUNCTION settings_layers_are_never_changed();

-- A roll-out's number is the version of all its bundles.
CREATE TABLE rollouts (
    version bigint PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'aborted', 'done')),
    stage integer NOT NULL,                 -- 1: one lane, 2: one shop, 3: all
    stage_began_at timestamptz NOT NULL DEFAULT now(),
    looked_at timestamptz NOT NULL DEFAULT now(),
    wait_s double precision NOT NULL,       -- for how long a stage waits for lanes that do not answer
    soak_s double precision NOT NULL,       -- how long a stage lasts at least
    stop_after integer NOT NULL,            -- with how many refusals it stops
    layers jsonb NOT NULL,                  -- layer -> version, when it was signed
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    comment text NOT NULL
);
CREATE UNIQUE INDEX rollouts_one_at_a_time ON rollouts ((true)) WHERE state IN ('running', 'paused', 'stopped');

CREATE TABLE rollout_events (
    version bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,                      -- empty: the server by itself
    what text NOT NULL,
    reason text NOT NULL DEFAULT ''
);
CREATE INDEX rollout_events_by_version ON rollout_events (version, at);

CREATE TABLE bundles (
    lane_id text NOT NULL,
    version bigint NOT NULL,
    stage integer NOT NULL,                 -- of the roll-out, in which the lane gets it
    bundle text NOT NULL,                   -- as it was signed
    hash text NOT NULL,
    content text NOT NULL,                  -- SHA-256 of its settings: the same in two versions that set the same
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'pulled', 'applied', 'refused')),
    reason text NOT NULL DEFAULT '',
    forgiven boolean NOT NULL DEFAULT false,-- somebody had the roll-out continue after it was refused
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, version)
);
CREATE INDEX bundles_by_version ON bundles (version, stage, status);
