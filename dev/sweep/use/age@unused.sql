CREATE EXTENSION age;
CREATE TABLE public.kept (id int, a ag_catalog.agtype);
INSERT INTO public.kept VALUES (1, '{"k": 1}');
