-- The transaction and the client of each event.

ALTER TABLE sync_event
    ADD COLUMN transaction_id text COLLATE "C",
    ADD COLUMN transaction_type text COLLATE "C",
    ADD COLUMN client_ip_address text COLLATE "C",
    ADD COLUMN client_user_agent text COLLATE "C",
    ADD COLUMN client_city text COLLATE "C",
    ADD COLUMN client_country text COLLATE "C";
CREATE INDEX sync_event_transaction ON sync_event (transaction_id, published, position)
    WHERE transaction_id IS NOT NULL;
COMMENT ON COLUMN sync_event.transaction_id IS 'Okta''s transaction.id.';
COMMENT ON COLUMN sync_event.transaction_type IS 'Okta''s transaction.type.';
COMMENT ON COLUMN sync_event.client_ip_address IS 'Okta''s client.ipAddress.';
COMMENT ON COLUMN sync_event.client_user_agent IS 'Okta''s client.userAgent.rawUserAgent.';
COMMENT ON COLUMN sync_event.client_city IS 'Okta''s client.geographicalContext.city.';
COMMENT ON COLUMN sync_event.client_country IS 'Okta''s client.geographicalContext.country.';
