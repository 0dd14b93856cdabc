-- Why: `"bob"@x` and `"b\ob"@x` are other writings of `bob@x` (RFC 5321, 4.1.2), and two users must never share a mailbox. The
-- service stores local parts without quotes; what a Go replica or a hand writes is brought to the same canonical form.

CREATE OR REPLACE FUNCTION canonical_email(address text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT lower(CASE
            WHEN bare ~ $re$^"(\\?[-a-zA-Z0-9!#$%&'*+/=?^_`{|}~])+(\\?[.](\\?[-a-zA-Z0-9!#$%&'*+/=?^_`{|}~])+)*"@[^"@]*$$re$
            THEN regexp_replace(substring(bare FROM '^"(.*)"@'), '\\(.)', '\1', 'g') || substring(bare FROM '@[^@]*$')
            ELSE bare
        END COLLATE "C")
        FROM (SELECT coalesce(substring(address FROM '<([^<>]*)>\s*$'), btrim(address)) AS bare) AS stripped
    );

-- Of several rows for one mailbox the one that was written without quotes has it, then the verified one, then the oldest; the
-- others keep working and cannot be copied.
WITH quoted AS (
    SELECT username, canonical_email(email) AS canonical, is_email_verified, created_at
    FROM users WHERE email_canonical LIKE '"%' AND email_canonical <> canonical_email(email)
), holder AS (
    SELECT DISTINCT ON (canonical) username, canonical
    FROM quoted WHERE NOT EXISTS (SELECT FROM users WHERE users.email_canonical = quoted.canonical)
    ORDER BY canonical, is_email_verified DESC, created_at, username
)
UPDATE users SET email_canonical = holder.canonical
FROM quoted LEFT JOIN holder ON holder.username = quoted.username
WHERE users.username = quoted.username;
