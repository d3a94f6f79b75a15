CREATE EXTENSION address_standardizer;
CREATE TABLE asked (a stdaddr);
INSERT INTO asked VALUES (ROW(NULL, '1', NULL, NULL, NULL, 'MAIN', 'ST', NULL, NULL, NULL, 'BOSTON', 'MA', NULL, '02101', NULL, NULL)::stdaddr);
