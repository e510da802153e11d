-- Who may come in: API keys. The versions of such records tell gateways, which hold them in memory, that they have changed.

CREATE TABLE access_change (
    kind text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE access_change IS 'The versions of the records about who may come in, one row for each kind. A change of such a record increments the version in the same transaction. Gateways hold the records in memory, and look at the versions every 2 seconds.';
COMMENT ON COLUMN access_change.kind IS 'The name of the table that has the records.';
COMMENT ON COLUMN access_change.version IS 'The number of changes of that table.';

CREATE FUNCTION access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The session that changes a record by hand may have another search path.
    EXECUTE format('UPDATE %I.access_change SET version = version + 1 WHERE kind = $1', TG_TABLE_SCHEMA)
        USING TG_TABLE_NAME;
    PERFORM pg_notify('sluice_access', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION access_changed IS 'Increments the version of the table whose trigger calls it, and notifies gateways. A lost notification is harmless, since gateways look at the versions in any case.';

CREATE TABLE api_key (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    rights jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at < '9999-01-01 00:00:00Z'),
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_at IS NULL;
COMMENT ON TABLE api_key IS 'API keys, with which machines identify themselves. A gateway requires a token or a key from everybody as long as there is any row, also that of a revoked key.';
COMMENT ON COLUMN api_key.id IS 'The public part of the key, by which it is looked up.';
COMMENT ON COLUMN api_key.name IS 'The name, in lists, metrics and log lines. Keys that are not revoked have different names.';
COMMENT ON COLUMN api_key.hash IS 'The SHA-256 of the key''s secret part. The secret itself, 256 random bits, is stored nowhere.';
COMMENT ON COLUMN api_key.rights IS 'The rights: an object with the list scopes, and with the list see, whose items have org, and applications or instances. Without see, the key shows everything.';
COMMENT ON COLUMN api_key.created_at IS 'The time at which the key was added.';
COMMENT ON COLUMN api_key.expires_at IS 'The time from which on the key is refused.';
COMMENT ON COLUMN api_key.revoked_at IS 'The time at which the key was revoked, or null.';
COMMENT ON COLUMN api_key.last_used_at IS 'The time of a recent use, or null if there was none. Gateways write it about once a minute.';
INSERT INTO access_change (kind) VALUES ('api_key');
CREATE TRIGGER access_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF id, name, hash, rights, created_at, expires_at, revoked_at ON api_key
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();
