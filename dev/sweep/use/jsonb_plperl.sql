CREATE EXTENSION jsonb_plperl CASCADE;
CREATE FUNCTION first_key(jsonb) RETURNS jsonb LANGUAGE plperl TRANSFORM FOR TYPE jsonb AS 'my ($k) = sort keys %{$_[0]}; return { k => $k };';
CREATE TABLE doc (d jsonb, k jsonb);
INSERT INTO doc VALUES ('{"b": 1, "a": 2}', first_key('{"b": 1, "a": 2}'));
