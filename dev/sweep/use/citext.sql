CREATE EXTENSION citext;
CREATE TABLE account (id int PRIMARY KEY, mail citext NOT NULL UNIQUE CHECK (mail LIKE '%@%'), tags citext[] DEFAULT '{New,Old}');
INSERT INTO account SELECT g, 'User' || g || '@Example.org' FROM generate_series(1, 50) g;
CREATE INDEX account_mail_pattern ON account (mail citext_pattern_ops) WHERE mail <> 'nobody@example.org';
CREATE VIEW account_by_mail AS SELECT min(mail) AS first, count(*) FROM account GROUP BY lower(mail::text)::citext;
