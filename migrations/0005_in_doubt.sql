-- Why: a mail whose key is gone may get a new code only while no copy with the old one can be out. Once an attempt ended after the
-- final dot without an answer, or with its worker, that is not known any more, whatever later attempts end with.

ALTER TABLE email_intents ADD COLUMN in_doubt boolean NOT NULL DEFAULT false;
UPDATE email_intents SET in_doubt = true
WHERE state IN ('waiting', 'dispatched', 'sending') AND (crash_count > 0 OR last_class IN ('unknown', 'internal'));
