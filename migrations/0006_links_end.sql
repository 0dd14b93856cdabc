-- Why: the time of a link begins when a mail server took the mail. Where that was never recorded, and the intent is over for
-- another reason, a copy may be out all the same; its link must end, too. One trigger, whoever ends the intent.

CREATE FUNCTION end_link_of_settled_intent() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE verify_emails SET expired_at = clock_timestamp() + NEW.link_ttl
    WHERE intent_id = NEW.id AND expired_at = 'infinity';
    RETURN NULL;
END
$$;

CREATE TRIGGER email_intents_end_link
    AFTER UPDATE OF state ON email_intents
    FOR EACH ROW WHEN (NEW.state IN ('dead', 'cancelled') AND OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION end_link_of_settled_intent();

UPDATE verify_emails SET expired_at = clock_timestamp() + intent.link_ttl
FROM email_intents AS intent
WHERE intent.id = verify_emails.intent_id AND intent.state IN ('dead', 'cancelled') AND expired_at = 'infinity';
