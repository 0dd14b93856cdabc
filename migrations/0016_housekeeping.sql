-- Why: nothing was ever removed, and the intents were counted by reading all of them. Here is what removing needs, a count
-- that is kept as things happen, and a record of what happened to users that outlives them. Old replicas neither read nor
-- write any of it; the triggers count and record what they do.
--
-- The index is built and the intents are counted once, while signups wait: about 1 s for each million. Who cannot spare that
-- builds it beforehand, as docs/deploying.md says.

-- When an intent was over, or could have been at the latest: sent_at, else the deadline.
CREATE INDEX IF NOT EXISTS email_intents_over_idx ON email_intents ((coalesce(sent_at, deadline)))
    WHERE state IN ('sent', 'refused', 'dead', 'cancelled');

-- What is done now and then, by one process at a time: whoever locks the row, when its time has come.
CREATE TABLE signup_chores (
    chore            text        CONSTRAINT signup_chores_pkey PRIMARY KEY,
    -- Nobody does it before.
    next_at          timestamptz NOT NULL DEFAULT '-infinity',
    -- How far a chore came that goes through a table in steps; empty: it begins.
    position         text        NOT NULL DEFAULT '',
    -- Whether it is done where the configuration says nothing.
    is_on_by_default boolean     NOT NULL
);

-- A database that has intents keeps them until somebody says otherwise.
INSERT INTO signup_chores (chore, is_on_by_default)
VALUES ('retention', NOT EXISTS (SELECT FROM email_intents)), ('purge', false);

-- The number of intents by state is the sum of its rows: each statement that makes, changes or removes intents adds its own,
-- so that no two wait for each other, and a crash takes back both or none. The sweeper adds rows together.
CREATE TABLE email_intent_counts (
    state  text   NOT NULL,
    change bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE FUNCTION count_intents() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO email_intent_counts (state, change) SELECT state, count(*) FROM made GROUP BY state;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO email_intent_counts (state, change)
        SELECT state, sum(change)
        FROM (SELECT state, 1 AS change FROM made UNION ALL SELECT state, -1 FROM gone) AS changes
        GROUP BY state HAVING sum(change) <> 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO email_intent_counts (state, change) SELECT state, -count(*) FROM gone GROUP BY state;
    ELSE
        LOCK TABLE email_intent_counts IN SHARE ROW EXCLUSIVE MODE;
        DELETE FROM email_intent_counts;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER email_intents_count_made AFTER INSERT ON email_intents
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_intents();
CREATE TRIGGER email_intents_count_changed AFTER UPDATE ON email_intents
    REFERENCING OLD TABLE AS gone NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_intents();
CREATE TRIGGER email_intents_count_gone AFTER DELETE ON email_intents
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_intents();
CREATE TRIGGER email_intents_count_emptied AFTER TRUNCATE ON email_intents
    FOR EACH STATEMENT EXECUTE FUNCTION count_intents();

-- From here on nobody else changes an intent before this is committed.
INSERT INTO email_intent_counts (state, change) SELECT state, count(*) FROM email_intents GROUP BY state;

-- What happened to whom, when, and by whom. No address, password or code is in it. It has no index, so that a signup pays for
-- one short row alone.
CREATE TABLE users_audit (
    at       timestamptz NOT NULL,
    event    text        NOT NULL,
    username varchar     NOT NULL,
    -- Who was signed in to PostgreSQL.
    role     text        NOT NULL,
    -- What did it, where it says so in the setting signup.done_by; NULL: a request, another program or a hand.
    done_by  text,

    CONSTRAINT users_audit_event_check CHECK
        (event IN ('signup', 'verification', 'correction', 'deletion', 'purge'))
);

CREATE FUNCTION audit_users() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    doer CONSTANT text := nullif(current_setting('signup.done_by', true), '');
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO users_audit (at, event, username, role, done_by)
        SELECT clock_timestamp(), 'signup', username, session_user, doer FROM made;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO users_audit (at, event, username, role, done_by)
        SELECT clock_timestamp(), event, made.username, session_user, doer
        FROM made JOIN gone ON gone.username = made.username
        CROSS JOIN LATERAL (VALUES
            ('correction', made.email IS DISTINCT FROM gone.email),
            ('verification', made.is_email_verified AND NOT gone.is_email_verified)) AS possible (event, has_happened)
        WHERE has_happened;
    ELSE
        INSERT INTO users_audit (at, event, username, role, done_by)
        SELECT clock_timestamp(), CASE doer WHEN 'purge' THEN 'purge' ELSE 'deletion' END, username, session_user, doer
        FROM gone;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER users_audit_made AFTER INSERT ON users
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION audit_users();
CREATE TRIGGER users_audit_changed AFTER UPDATE ON users
    REFERENCING OLD TABLE AS gone NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION audit_users();
CREATE TRIGGER users_audit_gone AFTER DELETE ON users
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION audit_users();

CREATE FUNCTION keep_audit() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of users_audit are never changed or removed';
END
$$;

CREATE TRIGGER users_audit_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON users_audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- Whoever writes users or intents, with whatever search_path, has it counted and recorded, and needs no privilege for that.
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT pg_proc.oid::regprocedure AS name, nspname AS home
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = current_schema() AND pronargs = 0 AND proname IN ('count_intents', 'audit_users', 'keep_audit')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', made.name, made.home);
    END LOOP;
END
$$;

-- Where the files are applied by hand, roles have what they need on the tables that there are: here, too.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
        FROM pg_class, aclexplode(relacl)
        WHERE oid = to_regclass('email_intents') AND privilege_type = 'UPDATE'
    LOOP
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON email_intent_counts TO %s', granted.grantee);
        EXECUTE format('GRANT SELECT, UPDATE ON signup_chores TO %s', granted.grantee);
        EXECUTE format('GRANT SELECT ON users_audit TO %s', granted.grantee);
    END LOOP;
END
$$;
