-- Why: people ask for another mail, type its six digits on another device, and correct an address. How often each of that
-- happens is counted here, for names and addresses that nobody has as well: an answer must not tell which those are. A
-- request for another mail is answered before anybody looks whether there is such a user; until then it stands here.
-- Old replicas neither read nor write any of it. A mail of theirs has no locale, and so the first language.

CREATE TABLE email_requests (
    -- SHA-256 of what is counted and whose it is, a name or an address.
    subject   bytea         CONSTRAINT email_requests_pkey PRIMARY KEY,
    -- When the latest ones were made, the oldest first.
    made_at   timestamptz[] NOT NULL,
    -- The canonical address that another mail was asked for to, until that is settled.
    resend_to varchar,

    CONSTRAINT email_requests_made_at_check CHECK (cardinality(made_at) BETWEEN 1 AND 20)
);

CREATE INDEX email_requests_resend_idx ON email_requests (subject) WHERE resend_to IS NOT NULL;
-- For forgetting those that no limit needs any more.
CREATE INDEX email_requests_latest_idx ON email_requests ((made_at[cardinality(made_at)]));

-- The language tag (BCP 47) that the user gave; NULL: none.
ALTER TABLE email_intents ADD COLUMN locale text;
