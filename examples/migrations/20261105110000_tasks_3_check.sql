-- 3: expected against actual, project by project. One that differs stops everything here.
DO $$
DECLARE
  wrong bigint;
BEGIN
  SELECT count(*) INTO wrong FROM public.projects AS p
    WHERE jsonb_array_length(p.tasks) <> (SELECT count(*) FROM public.tasks AS t WHERE t.project_id = p.id);
  IF wrong > 0 THEN
    RAISE EXCEPTION '% projects have another number of tasks than before', wrong USING ERRCODE = 'data_exception';
  END IF;
END
$$;
