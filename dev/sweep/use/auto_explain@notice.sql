-- preload: auto_explain
-- set: auto_explain.log_min_duration = 0
-- set: auto_explain.log_level = notice
-- says: no extension but a library; at this level its plans reach every client
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 100);
