-- Who changed what. Nobody writes here but the trigger, and nobody changes what is written.
CREATE TABLE public.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name text NOT NULL,
  operation text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE')),
  record_key text,
  old_data jsonb,
  new_data jsonb,
  changed_by uuid,
  changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_record ON public.audit_log (table_name, record_key, changed_at DESC);
CREATE INDEX audit_log_changed_at ON public.audit_log USING brin (changed_at);
ALTER TABLE public.audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY admins_read ON public.audit_log FOR SELECT TO authenticated
  USING (EXISTS (SELECT FROM public.profiles AS p WHERE p.user_id = (SELECT auth.uid()) AND p.is_admin));

-- SECURITY DEFINER, because the caller may not write to the log. With an empty search_path: pg_temp would come first otherwise, and a temporary
-- table named audit_log would take the rows. The argument names the key: not every table has a column id. A log that cannot be written stops
-- the change: an audit log with holes is none.
CREATE FUNCTION public.write_audit_log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN pg_catalog.to_jsonb(OLD) END;
  is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN pg_catalog.to_jsonb(NEW) END;
BEGIN
  INSERT INTO public.audit_log (table_name, operation, record_key, old_data, new_data, changed_by)
    VALUES (TG_TABLE_NAME, TG_OP, COALESCE(is_now, was) ->> TG_ARGV[0], was, is_now, auth.uid());
  RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION public.write_audit_log() FROM PUBLIC;
