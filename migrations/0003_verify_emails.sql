-- Why: a link in a mail is checked against a hash of its code; the code itself is derived from the intent and never stored.
-- The table is the Go program's (simplebank, migration 4); codes that it stored in clear are replaced by their hashes.

CREATE TABLE IF NOT EXISTS verify_emails (
    id          bigserial   CONSTRAINT verify_emails_pkey PRIMARY KEY,
    username    varchar     NOT NULL CONSTRAINT verify_emails_username_fkey REFERENCES users (username),
    email       varchar     NOT NULL,
    secret_code varchar     NOT NULL,
    is_used     boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expired_at  timestamptz NOT NULL DEFAULT now() + interval '15 minutes'
);

ALTER TABLE verify_emails
    ALTER COLUMN secret_code DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS intent_id   uuid CONSTRAINT verify_emails_intent_id_fkey REFERENCES email_intents (id),
    ADD COLUMN IF NOT EXISTS secret_hash bytea,
    ADD COLUMN IF NOT EXISTS key_id      text,
    ADD COLUMN IF NOT EXISTS voided_at   timestamptz;

COMMENT ON COLUMN verify_emails.secret_code IS
    'In clear; only a Go replica that still runs writes it. Its links are honoured.';
COMMENT ON COLUMN verify_emails.expired_at IS
    'infinity until the mail server accepted the mail: a mail that was late is not useless.';

UPDATE verify_emails SET secret_hash = sha256(convert_to(secret_code, 'UTF8')), secret_code = NULL;

ALTER TABLE verify_emails ADD CONSTRAINT verify_emails_secret_check CHECK (num_nonnulls(secret_code, secret_hash) = 1);

-- A deleted user's links go with the user.
ALTER TABLE verify_emails
    DROP CONSTRAINT verify_emails_username_fkey,
    ADD CONSTRAINT verify_emails_username_fkey FOREIGN KEY (username) REFERENCES users (username) ON DELETE CASCADE;

CREATE INDEX verify_emails_username_idx ON verify_emails (username);
CREATE UNIQUE INDEX verify_emails_intent_id_idx ON verify_emails (intent_id);
