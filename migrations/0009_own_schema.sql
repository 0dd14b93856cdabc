-- Why: the functions of the triggers name tables without a schema, so they looked for them wherever the search_path of the
-- session led that changed a row: of an application with a path of its own, or of the service when its tables are in a schema
-- of their own. From here on each function looks in the schema that it was made in.

DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT pg_proc.oid::regprocedure AS name, nspname AS home
        FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = current_schema() AND pronargs = 0 AND proname IN
            ('fill_email_canonical', 'stamp_email_intent', 'forget_deleted_user', 'void_changed_address',
             'end_link_of_settled_intent')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', made.name, made.home);
    END LOOP;
END
$$;
