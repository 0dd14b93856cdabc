-- Why: chores began at -infinity, which programs that write tables as XML cannot write. They begin at a time.

ALTER TABLE signup_chores ALTER COLUMN next_at SET DEFAULT now();
UPDATE signup_chores SET next_at = now() WHERE next_at = '-infinity';
