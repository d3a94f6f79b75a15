CREATE EXTENSION isn;
CREATE TABLE book (isbn isbn13 PRIMARY KEY, old isbn, music ismn, serial issn, code ean13);
INSERT INTO book VALUES ('978-0-306-40615-7', '0-306-40615-2', '979-0-2600-0043-8', '0378-5955', '4006381333931');
SELECT isn_weak(true);
INSERT INTO book (isbn) VALUES ('978-0-11-000533-4!');
