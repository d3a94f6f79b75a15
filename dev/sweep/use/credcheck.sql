-- preload: credcheck
-- set: credcheck.username_min_length = 4
CREATE EXTENSION credcheck;
CREATE TABLE member (id int PRIMARY KEY, name text);
INSERT INTO member VALUES (1, 'a'), (2, 'b');
CREATE ROLE keeper;
ALTER TABLE member OWNER TO keeper;
