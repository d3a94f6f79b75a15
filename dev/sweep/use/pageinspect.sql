CREATE EXTENSION pageinspect;
CREATE TABLE t (id int PRIMARY KEY);
INSERT INTO t SELECT generate_series(1, 10);
CREATE VIEW t_page AS SELECT * FROM heap_page_items(get_raw_page('public.t', 0));
