CREATE EXTENSION pointcloud;
INSERT INTO pointcloud_formats (pcid, srid, schema) VALUES (1, 4326, '<?xml version="1.0" encoding="UTF-8"?>
<pc:PointCloudSchema xmlns:pc="http://pointcloud.org/schemas/PC/1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<pc:dimension><pc:position>1</pc:position><pc:size>4</pc:size><pc:name>X</pc:name><pc:interpretation>int32_t</pc:interpretation><pc:scale>0.01</pc:scale></pc:dimension>
<pc:dimension><pc:position>2</pc:position><pc:size>4</pc:size><pc:name>Y</pc:name><pc:interpretation>int32_t</pc:interpretation><pc:scale>0.01</pc:scale></pc:dimension>
<pc:dimension><pc:position>3</pc:position><pc:size>4</pc:size><pc:name>Z</pc:name><pc:interpretation>int32_t</pc:interpretation><pc:scale>0.01</pc:scale></pc:dimension>
<pc:metadata><Metadata name="compression">none</Metadata></pc:metadata>
</pc:PointCloudSchema>');
CREATE TABLE scan (id int, pt pcpoint(1), pa pcpatch(1));
INSERT INTO scan SELECT g, PC_MakePoint(1, ARRAY[g, g * 2, g * 3]), PC_Patch(PC_MakePoint(1, ARRAY[g, g * 2, g * 3])) FROM generate_series(1, 30) g GROUP BY g;
