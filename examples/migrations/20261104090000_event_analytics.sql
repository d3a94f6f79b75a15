-- Each table is counted by itself: joined in one query, an event's orders would be multiplied by its attendees and its tickets.
CREATE MATERIALIZED VIEW public.event_analytics AS
SELECT e.id AS event_id, e.name AS event_name, e.organizer_id, e.start_at,
       o.orders, o.revenue_cents, o.first_order_at, o.last_order_at, a.attendees, t.tickets, t.checked_in
FROM public.events AS e
CROSS JOIN LATERAL (SELECT count(*) AS orders, COALESCE(sum(total_cents), 0) AS revenue_cents, min(created_at) AS first_order_at, max(created_at) AS last_order_at
                    FROM public.orders WHERE event_id = e.id AND payment_status = 'succeeded') AS o
CROSS JOIN LATERAL (SELECT count(*) AS attendees FROM public.attendees WHERE event_id = e.id) AS a
CROSS JOIN LATERAL (SELECT count(*) AS tickets, count(checked_in_at) AS checked_in FROM public.tickets WHERE event_id = e.id) AS t;
-- REFRESH … CONCURRENTLY needs a unique index over all rows.
CREATE UNIQUE INDEX event_analytics_event ON public.event_analytics (event_id);
CREATE INDEX event_analytics_organizer ON public.event_analytics (organizer_id, start_at DESC);
-- It shows the rows of all organizers, whatever row security says of the tables.
REVOKE ALL ON public.event_analytics FROM PUBLIC;
