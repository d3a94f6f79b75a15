CREATE EXTENSION semver;
CREATE TABLE release (v semver PRIMARY KEY, supports semverrange);
INSERT INTO release SELECT ('1.' || g || '.0-rc.1')::semver, semverrange('1.0.0', ('1.' || g || '.0')::semver) FROM generate_series(1, 20) g;
