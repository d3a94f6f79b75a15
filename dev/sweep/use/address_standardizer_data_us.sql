CREATE EXTENSION address_standardizer_data_us;
INSERT INTO us_lex (seq, word, stdword, token, is_custom) VALUES (1, 'OURSTREET', 'OURSTREET', 1, true);
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
