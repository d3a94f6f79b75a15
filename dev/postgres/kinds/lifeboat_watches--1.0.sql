-- It fires from CREATE EXTENSION on, while the rest of a dump is being restored.
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS '
BEGIN
  IF pg_catalog.current_setting(''application_name'') ~ ''^(lifeboat|pg_restore)'' THEN RAISE EXCEPTION ''no % while it is watched'', tg_tag; END IF;
END';
CREATE EVENT TRIGGER lifeboat_watches ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION refuse();
