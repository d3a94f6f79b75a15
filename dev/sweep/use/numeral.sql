CREATE EXTENSION numeral;
CREATE TABLE count_in (id int, e numeral, g zahl, r roman);
INSERT INTO count_in SELECT g, g::numeral, g::zahl, g::roman FROM generate_series(1, 40) g;
