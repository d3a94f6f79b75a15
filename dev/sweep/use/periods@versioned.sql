CREATE EXTENSION periods CASCADE;
CREATE TABLE staff (id int PRIMARY KEY, name text);
SELECT periods.add_system_time_period('staff');
SELECT periods.add_system_versioning('staff');
INSERT INTO staff (id, name) VALUES (1, 'a');
UPDATE staff SET name = 'b';
