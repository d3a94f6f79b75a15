CREATE EXTENSION pgq;
SELECT pgq.create_queue('moves');
SELECT pgq.register_consumer('moves', 'reader');
SELECT pgq.insert_event('moves', 'kind', 'data ' || g) FROM generate_series(1, 20) g;
SELECT pgq.ticker();
