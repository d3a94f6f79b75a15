-- says: its own trigger writes the moment of a change into its configuration while that is loaded
CREATE EXTENSION pg_fact_loader CASCADE;
CREATE SCHEMA facts;
CREATE TABLE facts.sale (id int PRIMARY KEY, total numeric);
INSERT INTO facts.sale VALUES (1, 2.5);
INSERT INTO fact_loader.fact_tables (fact_table_relid, fact_table_agg_proid, enabled, priority, force_worker_priority, use_daily_schedule)
VALUES ('facts.sale'::regclass, NULL, false, 1, false, false);
