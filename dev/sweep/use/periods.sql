-- says: its event trigger fires while stock tools restore
CREATE EXTENSION periods CASCADE;
CREATE TABLE price (ware int, v numeric, from_day date NOT NULL, to_day date NOT NULL);
SELECT periods.add_period('price', 'validity', 'from_day', 'to_day');
SELECT periods.add_unique_key('price', ARRAY['ware'], 'validity');
INSERT INTO price VALUES (1, 2.5, '2024-01-01', '2024-06-01'), (1, 3, '2024-06-01', '2025-01-01');
CREATE TABLE sale (ware int, from_day date NOT NULL, to_day date NOT NULL);
SELECT periods.add_period('sale', 'validity', 'from_day', 'to_day');
SELECT periods.add_foreign_key('sale', ARRAY['ware'], 'validity', 'price_ware_validity');
INSERT INTO sale VALUES (1, '2024-02-01', '2024-03-01');
