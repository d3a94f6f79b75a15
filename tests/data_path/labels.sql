-- Labels of a provider that only tests have (dev/postgres/kinds), on what can carry one; after everything.sql.
SET default_transaction_read_only = off; SET search_path = e, public;
SECURITY LABEL FOR lifeboat ON TABLE edges IS 'a; table''s'; SECURITY LABEL FOR lifeboat ON COLUMN edges.vc IS 'masked'; SECURITY LABEL FOR lifeboat ON SCHEMA e IS E'two\nlines';
SECURITY LABEL FOR lifeboat ON FUNCTION plus(text) IS 'function'; SECURITY LABEL FOR lifeboat ON VIEW v IS 'view'; SECURITY LABEL FOR lifeboat ON SEQUENCE steps IS 'sequence'; SECURITY LABEL FOR lifeboat ON TYPE mood IS 'type';
SECURITY LABEL FOR lifeboat ON DOMAIN cents IS 'domain'; SECURITY LABEL FOR lifeboat ON LARGE OBJECT 4711 IS 'large'; SECURITY LABEL FOR lifeboat ON MATERIALIZED VIEW stale IS 'stale'; SECURITY LABEL FOR lifeboat ON AGGREGATE joined (text) IS 'aggregate';
SECURITY LABEL FOR lifeboat ON EVENT TRIGGER hears IS 'hears'; SECURITY LABEL FOR lifeboat ON PUBLICATION some_of_it IS 'publication'; SECURITY LABEL FOR lifeboat ON SUBSCRIPTION sub IS 'subscription'; SECURITY LABEL FOR lifeboat ON LANGUAGE plpgsql IS 'language';
SECURITY LABEL FOR lifeboat ON FOREIGN TABLE far_away IS 'foreign'; SECURITY LABEL FOR lifeboat ON PROCEDURE doing(int) IS 'procedure';
SECURITY LABEL FOR lifeboat ON ROLE every_owner IS 'it''s; a role'; SECURITY LABEL FOR lifeboat ON ROLE every_reader IS 'reads'; SECURITY LABEL FOR lifeboat ON DATABASE every IS 'all of it';
