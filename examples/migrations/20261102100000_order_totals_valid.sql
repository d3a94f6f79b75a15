-- Each reads its table once and keeps nobody from writing.
ALTER TABLE public.orders VALIDATE CONSTRAINT orders_total;
ALTER TABLE public.orders VALIDATE CONSTRAINT orders_quantity;
ALTER TABLE public.events VALIDATE CONSTRAINT events_end_after_start;
