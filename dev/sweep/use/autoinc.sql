CREATE EXTENSION autoinc;
CREATE SEQUENCE ticket_number START 100;
CREATE TABLE ticket (number int, what text);
CREATE TRIGGER ticket_number BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION autoinc(number, ticket_number);
INSERT INTO ticket (what) SELECT 'ticket ' || g FROM generate_series(1, 10) g;
