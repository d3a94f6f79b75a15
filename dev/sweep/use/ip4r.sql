CREATE EXTENSION ip4r;
CREATE TABLE net (id int PRIMARY KEY, a ip4, r ip4r, s ip6, t ip6r, u ipaddress, v iprange, EXCLUDE USING gist (r WITH &&));
INSERT INTO net SELECT g, ('10.0.0.' || g)::ip4, ('10.' || g || '.0.0/16')::ip4r, 'fe80::1', 'fe80::/64', ('::' || g)::ipaddress, ('192.168.' || g || '.0/24')::iprange FROM generate_series(1, 30) g;
CREATE INDEX net_v ON net USING gist (v);
