CREATE EXTENSION dict_xsyn;
CREATE TEXT SEARCH DICTIONARY synonym_word (TEMPLATE = xsyn_template, rules = 'xsyn_sample', keeporig = true);
CREATE TABLE word (w text, l text[]);
INSERT INTO word SELECT 'supernova', ts_lexize('synonym_word', 'supernova');
