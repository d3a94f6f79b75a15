CREATE EXTENSION plsh;
CREATE FUNCTION hello(text) RETURNS text LANGUAGE plsh AS '#!/bin/sh
echo "hello $1"';
CREATE TABLE t (v text);
INSERT INTO t SELECT hello('you');
