CREATE EXTENSION asn1oid;
CREATE TABLE node (oid asn1oid PRIMARY KEY, n text);
INSERT INTO node SELECT ('1.3.6.1.' || g)::asn1oid, 'n' FROM generate_series(1, 20) g;
