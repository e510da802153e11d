-- What gateways tell each other of the log's tail, outside of the database, is signed with a key that only it has.

CREATE TABLE tail_key (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE tail_key IS 'The key with which gateways sign what they tell each other of the log''s tail, one row.';
COMMENT ON COLUMN tail_key.singleton IS 'Always true: there is one key.';
COMMENT ON COLUMN tail_key.key IS '32 bytes, of which 244 bits are random.';

INSERT INTO tail_key (key)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
