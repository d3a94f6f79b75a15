CREATE EXTENSION table_log;
CREATE TABLE ware (id int PRIMARY KEY, n text);
CREATE TABLE ware_log (id int, n text, trigger_mode varchar(10), trigger_tuple varchar(5), trigger_changed timestamptz, trigger_id bigserial PRIMARY KEY);
CREATE TRIGGER ware_log AFTER INSERT OR UPDATE OR DELETE ON ware FOR EACH ROW EXECUTE FUNCTION table_log('ware_log');
INSERT INTO ware SELECT g, 'n' FROM generate_series(1, 5) g;
UPDATE ware SET n = 'm' WHERE id < 3;
