-- Why: a relay held its claim by row locks, and with them a connection for as long as Redis took to answer. A claim is now
-- written down, so that no connection waits for Redis. Old replicas neither read nor write it; while both run, an intent
-- may be handed to Redis by both, which is harmless: its task has the intent's id.

ALTER TABLE email_intents
    -- Until when other relays leave the row alone; NULL or past: it is free.
    ADD COLUMN claimed_until timestamptz;
