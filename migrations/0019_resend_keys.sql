-- Why: a request for another mail may come with a header Idempotency-Key, as signups do (migration 14). Here stand the keys
-- whose requests were admitted, for a day, so that the same request again is answered alike and asks for no second mail. The
-- row is written in the transaction that counts the request. A signup's keys are others: one key may be used for both.
-- Old replicas neither write nor read them.

CREATE TABLE resend_keys (
    -- SHA-256 of the client's key.
    key         bytea       CONSTRAINT resend_keys_pkey PRIMARY KEY,
    -- Of the request, made with a key that is not in the database.
    fingerprint bytea       NOT NULL,
    key_id      text        NOT NULL,
    expires_at  timestamptz NOT NULL DEFAULT now() + interval '24 hours'
);

CREATE INDEX resend_keys_expires_at_idx ON resend_keys (expires_at);

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
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON resend_keys TO %s', granted.grantee);
    END LOOP;
END
$$;
