-- Why: applications want to hear of users and their mails. What they are owed is written down in the transaction of what it is
-- about, whoever makes that, so that no crash loses it; workers send it. Old replicas neither read nor write this; what they do
-- is told all the same.

-- Who is told, of what, under which policy: `api` writes down what the resource says.
CREATE TABLE webhooks (
    url         text     CONSTRAINT webhooks_pkey PRIMARY KEY,
    events      text[]   NOT NULL,
    max_retries integer  NOT NULL,
    deadline    interval NOT NULL
);

-- What is owed to one of them, or was given up. What was delivered is removed, and so is what is about a deleted user.
CREATE TABLE webhook_deliveries (
    -- The webhook-id of every copy.
    id          uuid        CONSTRAINT webhook_deliveries_pkey PRIMARY KEY,
    url         text        NOT NULL,
    event       text        NOT NULL,
    username    varchar     NOT NULL CONSTRAINT webhook_deliveries_username_fkey REFERENCES users (username)
                            ON UPDATE CASCADE ON DELETE CASCADE,
    -- About a hidden signup, which has to be written like any other, and is told to nobody.
    is_hidden   boolean     NOT NULL,
    -- The bytes of every copy.
    body        text        NOT NULL,
    created_at  timestamptz NOT NULL,

    -- The policy.
    max_retries integer     NOT NULL,
    deadline    timestamptz NOT NULL,

    state       text        NOT NULL DEFAULT 'owed',
    -- Not to be tried before: the back-off's, or the end of a lease.
    due_at      timestamptz NOT NULL,
    -- Grows with each lease; who has an older one records nothing.
    lease_epoch bigint      NOT NULL DEFAULT 0,
    attempts    integer     NOT NULL DEFAULT 0,
    failures    integer     NOT NULL DEFAULT 0,
    last_class  text,

    CONSTRAINT webhook_deliveries_state_check CHECK (state IN ('owed', 'dead'))
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (url, due_at) WHERE state = 'owed';
CREATE INDEX webhook_deliveries_deadline_idx ON webhook_deliveries (deadline);
CREATE INDEX webhook_deliveries_username_idx ON webhook_deliveries (username);

CREATE FUNCTION owe_webhooks_of_user() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    told CONSTANT text := CASE TG_OP WHEN 'INSERT' THEN 'user.created' ELSE 'user.verified' END;
BEGIN
    INSERT INTO webhook_deliveries (id, url, event, username, is_hidden, body, created_at, max_retries, deadline, due_at)
    SELECT gen_random_uuid(), url, told, NEW.username, NEW.is_hidden,
           json_build_object(
               'type', told,
               'timestamp', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'data', json_build_object('username', NEW.username, 'full_name', NEW.full_name, 'email', NEW.email))::text,
           moment, max_retries, moment + deadline, moment
    FROM webhooks
    WHERE told = ANY (events);
    RETURN NULL;
END
$$;

CREATE FUNCTION owe_webhooks_of_mail() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    told CONSTANT text := 'mail.' || NEW.state;
BEGIN
    INSERT INTO webhook_deliveries (id, url, event, username, is_hidden, body, created_at, max_retries, deadline, due_at)
    SELECT gen_random_uuid(), url, told, NEW.username, false,
           json_build_object(
               'type', told,
               'timestamp', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'data', json_build_object('username', NEW.username, 'email', NEW.email, 'class', NEW.last_class,
                                         'reply', NEW.last_reply))::text,
           moment, max_retries, moment + deadline, moment
    FROM webhooks
    WHERE told = ANY (events);
    RETURN NULL;
END
$$;

CREATE TRIGGER users_owe_webhooks_made
    AFTER INSERT ON users
    FOR EACH ROW EXECUTE FUNCTION owe_webhooks_of_user();

CREATE TRIGGER users_owe_webhooks_verified
    AFTER UPDATE OF is_email_verified ON users
    FOR EACH ROW WHEN (NEW.is_email_verified AND NOT OLD.is_email_verified)
    EXECUTE FUNCTION owe_webhooks_of_user();

-- A notice is not the mail of who signed up.
CREATE TRIGGER email_intents_owe_webhooks
    AFTER UPDATE OF state ON email_intents
    FOR EACH ROW WHEN (NEW.state IN ('refused', 'dead') AND OLD.state IS DISTINCT FROM NEW.state
                       AND NEW.kind = 'verification' AND NEW.username IS NOT NULL)
    EXECUTE FUNCTION owe_webhooks_of_mail();

-- Whoever writes users or intents, with whatever search_path, needs no privilege for what is owed by that.
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT pg_proc.oid::regprocedure AS name, nspname AS home
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = current_schema() AND pronargs = 0
          AND proname IN ('owe_webhooks_of_user', 'owe_webhooks_of_mail')
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
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO %s', granted.grantee);
        EXECUTE format('GRANT SELECT, UPDATE, DELETE ON webhook_deliveries TO %s', granted.grantee);
    END LOOP;
END
$$;
