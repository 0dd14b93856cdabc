-- Why: a mail server whose own way out is broken may refuse everybody in words that speak of mailboxes. No table of
-- replies knows that; the row of refusals does. Here stand the mails refused since one was last accepted, by any worker.

CREATE TABLE refusals (
    intent_id uuid    CONSTRAINT refusals_pkey PRIMARY KEY
                      CONSTRAINT refusals_intent_id_fkey REFERENCES email_intents (id) ON DELETE CASCADE,
    -- The verdict named the mailbox by a code of its own (RFC 3463: 5.1.1 and the like).
    by_code   boolean NOT NULL
);
