-- says: a trigger, a policy and a check that a user puts on an extension's table are in no dump
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER mine BEFORE INSERT ON partman.part_config FOR EACH ROW EXECUTE FUNCTION stay();
CREATE POLICY mine ON partman.part_config USING (true);
ALTER TABLE partman.part_config ADD CONSTRAINT mine CHECK (premake < 1000);
