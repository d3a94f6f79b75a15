-- As one does that makes a function whose name the system has since taken for its own: the system's is found first.
COMMENT ON FUNCTION pg_catalog.pg_backend_pid() IS 'what the extension says of it';
