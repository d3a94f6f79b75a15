CREATE EXTENSION btree_gist;
CREATE TABLE booking (room int, during tsrange, price numeric, EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (price > 0));
INSERT INTO booking SELECT g % 4, tsrange(timestamp '2024-01-01' + g * interval '1 day', timestamp '2024-01-02' + g * interval '1 day'), g FROM generate_series(1, 40) g;
CREATE TABLE place (id int, address inet, EXCLUDE USING gist (address inet_ops WITH =, id WITH <>));
INSERT INTO place SELECT g, ('10.0.0.' || g)::inet FROM generate_series(1, 20) g;
CREATE INDEX booking_near ON booking USING gist (price);
