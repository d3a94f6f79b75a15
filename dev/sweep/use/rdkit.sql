CREATE EXTENSION rdkit;
CREATE TABLE compound (id int PRIMARY KEY, m mol NOT NULL, f bfp);
INSERT INTO compound SELECT row_number() OVER (), mol_from_smiles(s::cstring), morganbv_fp(mol_from_smiles(s::cstring)) FROM unnest(ARRAY['CCO', 'c1ccccc1', 'CC(=O)O', 'CN']) s;
CREATE INDEX compound_m ON compound USING gist (m);
CREATE INDEX compound_f ON compound USING gist (f);
CREATE VIEW compound_ring AS SELECT id, mol_amw(m) FROM compound WHERE m @> 'c1ccccc1'::mol;
