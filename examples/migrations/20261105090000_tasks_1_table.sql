-- Tasks leave the JSON column of their project in four steps; the application can stop after each.
-- 1: where they go. The place in the array is kept, so that a task is copied once, however often the next step runs.
CREATE TABLE public.tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES public.projects (id),
  place int NOT NULL,
  title text NOT NULL,
  done boolean NOT NULL DEFAULT false,
  UNIQUE (project_id, place)
);
ALTER TABLE public.tasks ENABLE ROW LEVEL SECURITY;
