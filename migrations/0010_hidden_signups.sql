-- Why: a signup with a taken address must leave the same traces as one with a free address (decision 12), so it is a row of
-- users as well: it keeps its name and its password, its mail is the notice to the owner of the address, and it is never verified.

ALTER TABLE users
    ADD COLUMN IF NOT EXISTS is_hidden  boolean     NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS notice_id  uuid,
    ADD COLUMN IF NOT EXISTS noticed_at timestamptz;

COMMENT ON COLUMN users.is_hidden IS
    'The address asked for was taken: email is a placeholder under hidden.invalid, and verify_emails.email is the address, canonical.';
COMMENT ON COLUMN users.notice_id IS
    'The last mail that told this user of a signup with the same address, and noticed_at the last attempt at it: one a day.';
