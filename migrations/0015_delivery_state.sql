-- Why: who signed up may ask what became of the mail. What is shown must not tell a taken address from a free one where accounts
-- are hidden, so it is that of the mail of the signup or of the latest correction, not of mails that anybody may ask for, which a
-- hidden signup never gets; and a notice that was not sent because its owner was told already shows what the one shows that told.
-- Old replicas neither read nor write this; a mail asked for through one of them is shown like that of a signup.

ALTER TABLE email_intents
    -- Asked for again (`resend_verification`).
    ADD COLUMN asked_for boolean NOT NULL DEFAULT false,
    -- The notice by which the owner was told, where this one was not sent for that.
    ADD COLUMN told_by   uuid;

CREATE INDEX email_intents_told_by_idx ON email_intents (told_by) WHERE told_by IS NOT NULL;
