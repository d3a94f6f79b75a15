CREATE EXTENSION http;
CREATE TABLE asked (answer http_response, header http_header, method http_method);
INSERT INTO asked VALUES (NULL, ROW('Accept', 'text/plain')::http_header, 'GET');
CREATE VIEW asked_method AS SELECT method, urlencode('a b') FROM asked;
