-- Is anything missing? What of each System Log was read whole, and how much has come by each way.

CREATE TABLE read_window (
    org text COLLATE "C" NOT NULL,
    filter text COLLATE "C" NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    read_at timestamptz NOT NULL,
    events bigint NOT NULL,
    found bigint NOT NULL,
    PRIMARY KEY (org, filter, from_at)
);
COMMENT ON TABLE read_window IS 'Stretches of time whose events were read whole from the System Log, some time after they were over. Joined with arrival it tells what hooks missed.';
COMMENT ON COLUMN read_window.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN read_window.filter IS 'The hash of what was asked for, as in poll_cursor.';
COMMENT ON COLUMN read_window.from_at IS 'Its begin: events that happened then are in it.';
COMMENT ON COLUMN read_window.until_at IS 'Its end: events that happened then are not in it.';
COMMENT ON COLUMN read_window.read_at IS 'When it was read, by Okta''s clock.';
COMMENT ON COLUMN read_window.events IS 'How many events were read; 0 for what the poller had read on its way.';
COMMENT ON COLUMN read_window.found IS 'How many of them had not come before, not even by the poller.';

CREATE TABLE ingest_tally (
    org text COLLATE "C" NOT NULL,
    source smallint NOT NULL,
    arrived bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    last_arrival_at timestamptz NOT NULL,
    PRIMARY KEY (org, source)
) WITH (fillfactor = 50);
COMMENT ON TABLE ingest_tally IS 'How much has come by each way, as gateways add it up every second. A gateway that is killed forgets its last second.';
COMMENT ON COLUMN ingest_tally.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN ingest_tally.source IS 'The way, as in sync_event.first_source.';
COMMENT ON COLUMN ingest_tally.arrived IS 'How many events it brought first.';
COMMENT ON COLUMN ingest_tally.duplicates IS 'How many events it brought that were there already.';
COMMENT ON COLUMN ingest_tally.last_arrival_at IS 'When it brought something last.';
