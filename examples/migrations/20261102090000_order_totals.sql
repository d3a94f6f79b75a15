-- What a row must be is a constraint: it is seen in the schema, and holds for rows that were there before too.
-- First for new rows, under a lock of a moment; in the next file for the old ones, while everybody works on.
ALTER TABLE public.orders ADD CONSTRAINT orders_total CHECK (total_cents = quantity * unit_price_cents) NOT VALID;
ALTER TABLE public.orders ADD CONSTRAINT orders_quantity CHECK (quantity BETWEEN 1 AND 20) NOT VALID;
