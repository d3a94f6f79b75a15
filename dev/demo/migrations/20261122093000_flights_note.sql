-- A column, an index while everybody writes on, and the column filled in batches.
ALTER TABLE flights ADD COLUMN note text;
CREATE INDEX CONCURRENTLY flights_note ON flights (note) WHERE note IS NOT NULL;
-- lifeboat: batch 50000 by id
UPDATE flights SET note = 'cancelled' WHERE dep_time IS NULL AND note IS NULL;
