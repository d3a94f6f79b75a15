CREATE EXTENSION orafce;
CREATE TABLE staff (name oracle.varchar2(30), nick oracle.nvarchar2(20), born oracle.date);
INSERT INTO staff SELECT 'n' || g, 'x', oracle.add_months('2024-01-31'::timestamp, g % 12) FROM generate_series(1, 20) g;
CREATE VIEW staff_nvl AS SELECT oracle.nvl(name::text, 'none') AS n, oracle.decode(1, 1, 'one'::text) FROM staff, oracle.dual;
