CREATE EXTENSION jsonb_plpython3u CASCADE;
CREATE FUNCTION first_key(d jsonb) RETURNS jsonb LANGUAGE plpython3u TRANSFORM FOR TYPE jsonb AS 'return {"k": sorted(d)[0]}';
CREATE TABLE doc (d jsonb, k jsonb);
INSERT INTO doc VALUES ('{"b": 1, "a": 2}', first_key('{"b": 1, "a": 2}'));
