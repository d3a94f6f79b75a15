-- 2: what was there. On a large table, run this in pieces, a range of projects each.
INSERT INTO public.tasks (project_id, place, title, done)
SELECT p.id, t.place, t.task ->> 'title', COALESCE((t.task ->> 'done')::boolean, false)
FROM public.projects AS p CROSS JOIN LATERAL jsonb_array_elements(p.tasks) WITH ORDINALITY AS t (task, place)
WHERE p.tasks <> '[]'::jsonb
ON CONFLICT (project_id, place) DO NOTHING;
