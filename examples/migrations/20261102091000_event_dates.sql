ALTER TABLE public.events ADD CONSTRAINT events_end_after_start CHECK (end_at > start_at) NOT VALID;

-- Only what a row's history decides needs a trigger. It reads nothing but the row, so it needs no rights but the caller's.
CREATE FUNCTION public.refuse_events_in_the_past() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  IF NEW.start_at < pg_catalog.now() THEN
    RAISE EXCEPTION 'event % begins in the past', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER events_begin_in_the_future BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.refuse_events_in_the_past();
