-- The database that the migrations of this folder change: ticket sales as they were, with tasks in a JSON column. No migration; for trying them.
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE ROLE authenticated NOLOGIN;

CREATE TABLE public.profiles (user_id uuid PRIMARY KEY REFERENCES auth.users (id), email text NOT NULL, is_admin boolean NOT NULL DEFAULT false);
CREATE TABLE public.venues (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, capacity int NOT NULL, status text NOT NULL DEFAULT 'active');
CREATE TABLE public.events (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, organizer_id uuid REFERENCES auth.users (id), venue_id uuid REFERENCES public.venues (id),
  start_at timestamptz NOT NULL, end_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'draft');
CREATE TABLE public.orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), event_id uuid NOT NULL REFERENCES public.events (id), customer_id uuid REFERENCES auth.users (id),
  quantity int NOT NULL, unit_price_cents int NOT NULL, total_cents int NOT NULL, payment_status text NOT NULL DEFAULT 'pending', created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.tickets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), event_id uuid NOT NULL REFERENCES public.events (id), order_id uuid NOT NULL REFERENCES public.orders (id),
  status text NOT NULL DEFAULT 'valid', checked_in_at timestamptz);
CREATE TABLE public.attendees (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), event_id uuid NOT NULL REFERENCES public.events (id), email text NOT NULL);
CREATE TABLE public.projects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, tasks jsonb NOT NULL DEFAULT '[]');

INSERT INTO auth.users SELECT md5('u' || n)::uuid FROM generate_series(1, 50) AS n;
INSERT INTO public.profiles SELECT id, id || '@example.org', false FROM auth.users;
INSERT INTO public.venues (name, capacity) SELECT 'venue ' || n, n * 100 FROM generate_series(1, 10) AS n;
INSERT INTO public.events (name, organizer_id, start_at, end_at, status)
  SELECT 'event ' || n, md5('u' || (n % 50 + 1))::uuid, now() + n * interval '1 hour', now() + n * interval '1 hour' + interval '2 hours', 'published' FROM generate_series(1, 100) AS n;
INSERT INTO public.orders (event_id, customer_id, quantity, unit_price_cents, total_cents, payment_status)
  SELECT e.id, md5('u' || (n % 50 + 1))::uuid, n % 4 + 1, 2500, 2500 * (n % 4 + 1), 'succeeded' FROM public.events AS e, generate_series(1, 20) AS n;
INSERT INTO public.tickets (event_id, order_id) SELECT o.event_id, o.id FROM public.orders AS o, generate_series(1, o.quantity);
INSERT INTO public.attendees (event_id, email) SELECT event_id, id || '@example.org' FROM public.tickets;
INSERT INTO public.projects (name, tasks)
  SELECT 'project ' || n, (SELECT jsonb_agg(jsonb_build_object('title', 'task ' || t, 'done', t % 2 = 0)) FROM generate_series(1, n % 7 + 1) AS t) FROM generate_series(1, 200) AS n;
