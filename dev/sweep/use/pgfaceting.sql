CREATE EXTENSION pgfaceting CASCADE;
CREATE TABLE ware (id int PRIMARY KEY, colour text, size int);
INSERT INTO ware SELECT g, (ARRAY['red', 'blue'])[g % 2 + 1], g % 5 FROM generate_series(1, 100) g;
SELECT faceting.add_faceting_to_table('ware', key => 'id', facets => ARRAY[faceting.plain_facet('colour'), faceting.plain_facet('size')]);
SELECT faceting.merge_deltas('ware'::regclass);
