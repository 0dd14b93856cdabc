-- Why: a signup needs a user, and two users must never share a mailbox. The table is the Go program's (simplebank,
-- migrations 2, 4 and 5); an existing one is adopted with its rows, its constraint names and whatever refers to it.

CREATE TABLE IF NOT EXISTS users (
    username            varchar     CONSTRAINT users_pkey PRIMARY KEY,
    hashed_password     varchar     NOT NULL,
    full_name           varchar     NOT NULL,
    email               varchar     NOT NULL CONSTRAINT users_email_key UNIQUE,
    password_changed_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00Z',
    created_at          timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE users
    ADD COLUMN IF NOT EXISTS is_email_verified boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS role              varchar NOT NULL DEFAULT 'depositor',
    ADD COLUMN IF NOT EXISTS email_canonical   varchar,
    ADD COLUMN IF NOT EXISTS verified_at       timestamptz;

COMMENT ON COLUMN users.email_canonical IS
    'The address alone, in lower case. NULL only in a row that is older than this column and whose mailbox another row has.';

-- The Go program stores `Name <a@b>` as it came; the part in angle brackets is the address. Collation "C" lowers ASCII
-- letters only, as the service does.
CREATE FUNCTION canonical_email(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(coalesce(substring(address FROM '<([^<>]*)>\s*$'), btrim(address)) COLLATE "C");

-- Of several rows for one mailbox the verified one, else the oldest, has it; the others keep working and cannot be copied.
UPDATE users
SET email_canonical = holder.canonical
FROM (
    SELECT DISTINCT ON (canonical_email(email)) username, canonical_email(email) AS canonical
    FROM users
    ORDER BY canonical_email(email), is_email_verified DESC, created_at, username
) AS holder
WHERE users.username = holder.username;

ALTER TABLE users ADD CONSTRAINT users_email_canonical_key UNIQUE (email_canonical);

-- A Go replica that still runs does not know the column.
CREATE FUNCTION fill_email_canonical() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.email_canonical := canonical_email(NEW.email);
    RETURN NEW;
END
$$;

CREATE TRIGGER users_fill_email_canonical
    BEFORE INSERT ON users
    FOR EACH ROW WHEN (NEW.email_canonical IS NULL)
    EXECUTE FUNCTION fill_email_canonical();
