-- Indexes for the queries that row security makes. Each statement is a step of its own: CONCURRENTLY cannot run in a transaction.
-- Without IF NOT EXISTS: an index that an earlier try left invalid would be kept, and nobody would know.
CREATE INDEX CONCURRENTLY events_organizer_start ON public.events (organizer_id, start_at) WHERE status = 'published';
CREATE INDEX CONCURRENTLY orders_customer_created ON public.orders (customer_id, created_at DESC, payment_status);
CREATE INDEX CONCURRENTLY orders_event ON public.orders (event_id);
CREATE INDEX CONCURRENTLY tickets_waiting ON public.tickets (event_id, status) WHERE checked_in_at IS NULL;
CREATE INDEX CONCURRENTLY attendees_event_email ON public.attendees (event_id, email);
CREATE INDEX CONCURRENTLY venues_capacity ON public.venues (capacity) WHERE status = 'active';
