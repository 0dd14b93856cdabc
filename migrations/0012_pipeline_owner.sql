-- Why: two pipelines in one database took each other's mails and sent them with their own sender. A database (a schema, where
-- the pipeline names one) belongs to one pipeline from here on, and says to which. Old replicas neither read nor write this.

CREATE TABLE pipeline_owner (
    -- One row at most.
    is_the_one          boolean     PRIMARY KEY DEFAULT true CHECK (is_the_one),
    -- namespace/name.
    pipeline            text        NOT NULL,
    -- UID of the namespace, so that clusters differ. NULL: not known, and then the name alone counts.
    namespace_uid       text,
    -- When the resource was made. NULL: not known.
    pipeline_created_at timestamptz,
    -- There were intents before there was an owner, so that several pipelines may have shared the database until then.
    found_intents       boolean     NOT NULL,
    -- Grows with each other owner: whoever worked for an earlier one gets no lease any more.
    term                bigint      NOT NULL DEFAULT 1,
    claimed_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Where the files are applied by hand, roles have what they need on the tables that there are: here, too.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
        FROM pg_class, aclexplode(relacl)
        WHERE oid = to_regclass('email_intents') AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')
    LOOP
        EXECUTE format('GRANT %s ON pipeline_owner TO %s', granted.privilege_type, granted.grantee);
    END LOOP;
END
$$;
