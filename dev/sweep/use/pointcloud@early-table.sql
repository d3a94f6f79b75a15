-- says: a table whose name sorts before pointcloud_formats is loaded before the formats that its rows need
CREATE EXTENSION pointcloud;
INSERT INTO pointcloud_formats (pcid, srid, schema) VALUES (1, 0, '<?xml version="1.0" encoding="UTF-8"?>
<pc:PointCloudSchema xmlns:pc="http://pointcloud.org/schemas/PC/1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<pc:dimension><pc:position>1</pc:position><pc:size>8</pc:size><pc:name>X</pc:name><pc:interpretation>double</pc:interpretation></pc:dimension>
<pc:dimension><pc:position>2</pc:position><pc:size>8</pc:size><pc:name>Y</pc:name><pc:interpretation>double</pc:interpretation></pc:dimension>
</pc:PointCloudSchema>');
CREATE TABLE aerial (id int, pt pcpoint(1));
INSERT INTO aerial SELECT g, PC_MakePoint(1, ARRAY[g, g * 2]) FROM generate_series(1, 30) g;
