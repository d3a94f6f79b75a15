-- says: its saved profiles are not among what a dump holds
CREATE EXTENSION plprofiler;
INSERT INTO pl_profiler_saved (s_name, s_options, s_callgraph_overflow, s_functions_overflow, s_lines_overflow) VALUES ('mine', '{}', false, false, false);
