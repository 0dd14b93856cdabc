-- Why: whoever deletes a user or changes an address, by whatever program or by hand, must not leave a mail owed to the old
-- address or a link that proves it. A new lease_epoch makes a worker that is sending right now unable to record a result.
-- Rows are locked in the order users, email_intents, verify_emails, as the service does: no deadlocks.

CREATE FUNCTION forget_deleted_user() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE email_intents
    SET state = 'cancelled', last_class = 'user deleted', lease_owner = NULL, lease_until = NULL
    WHERE username = OLD.username AND state IN ('waiting', 'dispatched', 'sending');
    -- The reply of a mail server tends to repeat the address.
    UPDATE email_intents SET email = '', last_reply = NULL, lease_epoch = lease_epoch + 1 WHERE username = OLD.username;
    RETURN OLD;
END
$$;

CREATE TRIGGER users_forget_deleted
    BEFORE DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION forget_deleted_user();

CREATE FUNCTION void_changed_address() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_email_verified := false;
    NEW.verified_at := NULL;
    IF NEW.email_canonical IS NOT DISTINCT FROM OLD.email_canonical THEN
        NEW.email_canonical := canonical_email(NEW.email);
    END IF;
    UPDATE email_intents
    SET state = 'cancelled', last_class = 'address changed', lease_epoch = lease_epoch + 1, lease_owner = NULL,
        lease_until = NULL
    WHERE username = OLD.username AND state IN ('waiting', 'dispatched', 'sending');
    UPDATE verify_emails SET voided_at = clock_timestamp() WHERE username = OLD.username AND voided_at IS NULL;
    RETURN NEW;
END
$$;

CREATE TRIGGER users_void_changed_address
    BEFORE UPDATE OF email ON users
    FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email)
    EXECUTE FUNCTION void_changed_address();
