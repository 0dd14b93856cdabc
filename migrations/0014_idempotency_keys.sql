-- Signups that came with a header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): which key made which
-- user, and what was answered, so that a client that never saw the answer asks again and gets it. The row is written
-- in the transaction of the user: there is one exactly where there is the user.
--
-- The key is stored as its SHA-256. The fingerprint of the request is made with a key that is not in the database, for
-- a password is part of what it is made of. Rows live for a day; old replicas neither write nor read them.

CREATE TABLE idempotency_keys (
    key bytea NOT NULL,
    fingerprint bytea NOT NULL,
    key_id text NOT NULL,
    username varchar NOT NULL,
    full_name varchar NOT NULL,
    email varchar NOT NULL,
    password_changed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key),
    CONSTRAINT idempotency_keys_username_fkey FOREIGN KEY (username) REFERENCES users (username)
        ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE INDEX idempotency_keys_username_idx ON idempotency_keys (username);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);
