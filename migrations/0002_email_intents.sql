-- Why: the mail owed to a new user is a row committed together with the user, so that no crash can part the two. The row
-- carries its own copy of the policy: an edit of the configuration changes new signups only.

CREATE TABLE email_intents (
    id              uuid        CONSTRAINT email_intents_pkey PRIMARY KEY,
    kind            text        NOT NULL,
    -- NULL once the user is deleted: the row stays as evidence of what was sent.
    username        varchar     CONSTRAINT email_intents_username_fkey REFERENCES users (username) ON DELETE SET NULL,
    -- The address at the time of the signup; empty once the user is deleted.
    email           varchar     NOT NULL,
    generation      integer     NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),

    -- The policy.
    delay           interval    NOT NULL,
    run_at          timestamptz NOT NULL,
    queue           text        NOT NULL,
    max_retries     integer     NOT NULL,
    deadline        timestamptz NOT NULL,
    timeout         interval    NOT NULL,
    public_url      text        NOT NULL,
    link_ttl        interval    NOT NULL,

    -- What makes every copy of the mail the same.
    message_id      text        NOT NULL,
    key_id          text        NOT NULL,

    -- Where it stands.
    state           text        NOT NULL DEFAULT 'waiting',
    dispatched_at   timestamptz,
    redis_epoch     text,
    attempts        integer     NOT NULL DEFAULT 0,
    failures        integer     NOT NULL DEFAULT 0,
    crash_count     integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    due_at          timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(next_attempt_at, run_at)) STORED,
    lease_owner     text,
    lease_epoch     bigint      NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    last_class      text,
    last_reply      text,
    sent_at         timestamptz,

    CONSTRAINT email_intents_username_kind_generation_key UNIQUE (username, kind, generation),
    CONSTRAINT email_intents_state_check CHECK
        (state IN ('waiting', 'dispatched', 'sending', 'sent', 'refused', 'dead', 'cancelled')),
    CONSTRAINT email_intents_lease_check CHECK
        ((state = 'sending') = (lease_until IS NOT NULL) AND (lease_until IS NULL) = (lease_owner IS NULL)),
    CONSTRAINT email_intents_sent_check CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CONSTRAINT email_intents_counters_check CHECK
        (max_retries >= 0 AND failures >= 0 AND failures <= attempts AND crash_count BETWEEN 0 AND failures)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Each index holds only rows in the state it serves, so settled intents cost nothing.
CREATE INDEX email_intents_waiting_idx ON email_intents (due_at) WHERE state = 'waiting';
CREATE INDEX email_intents_dispatched_idx ON email_intents (greatest(due_at, dispatched_at)) WHERE state = 'dispatched';
CREATE INDEX email_intents_sending_idx ON email_intents (lease_until) WHERE state = 'sending';
CREATE INDEX email_intents_deadline_idx ON email_intents (deadline) WHERE state IN ('waiting', 'dispatched');
-- For counting by state without reading the table.
CREATE INDEX email_intents_state_idx ON email_intents (state);

-- The delay counts from the commit, not from the insert: this trigger runs inside COMMIT, after the deferred triggers of
-- tables written earlier in the transaction, however slow they are. A commit that follows within a millisecond, as nearly
-- all do, is left alone: writing the row twice would cost as much as the rest of a signup.
CREATE FUNCTION stamp_email_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    late CONSTANT interval := clock_timestamp() + NEW.delay - NEW.run_at;
BEGIN
    IF late > interval '1 millisecond' THEN
        UPDATE email_intents SET run_at = run_at + late, deadline = deadline + late
        WHERE id = NEW.id AND state = 'waiting';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER email_intents_stamp
    AFTER INSERT ON email_intents
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION stamp_email_intent();
