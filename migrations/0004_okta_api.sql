-- What is read from Okta's APIs: how far the System Log is read, and what of it is read whole.

CREATE TABLE poll_cursor (
    org text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL DEFAULT 1,
    filter text COLLATE "C" NOT NULL,
    backfill_from timestamptz NOT NULL,
    start_at timestamptz NOT NULL,
    next_link text COLLATE "C",
    read_through timestamptz NOT NULL,
    caught_up_at timestamptz,
    polled_at timestamptz,
    failed_deliveries bigint NOT NULL DEFAULT 0,
    failed_delivery_at timestamptz,
    last_error text COLLATE "C",
    last_error_at timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE poll_cursor IS 'How far each org''s System Log is read. It moves in the transaction that appends a page''s events.';
COMMENT ON COLUMN poll_cursor.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN poll_cursor.revision IS 'Grows with each move: who does not know it does not read this System Log any more.';
COMMENT ON COLUMN poll_cursor.filter IS 'The hash of what is asked for; where another filter is configured, what Okta still has is read again.';
COMMENT ON COLUMN poll_cursor.backfill_from IS 'From where on it is read with this filter: 90 days before the first request.';
COMMENT ON COLUMN poll_cursor.start_at IS 'Where to start while there is no link: a time of persistence, by Okta''s clock.';
COMMENT ON COLUMN poll_cursor.next_link IS 'The link to the next page, as Okta gave it; null at the start, and after Okta refused one.';
COMMENT ON COLUMN poll_cursor.read_through IS 'Everything persisted before this time, by Okta''s clock, is read.';
COMMENT ON COLUMN poll_cursor.caught_up_at IS 'When its end was reached last; null until it is reached for the first time with this filter.';
COMMENT ON COLUMN poll_cursor.polled_at IS 'When Okta answered last.';
COMMENT ON COLUMN poll_cursor.failed_deliveries IS 'Of how many failed event hook deliveries Okta has told.';
COMMENT ON COLUMN poll_cursor.failed_delivery_at IS 'When the newest of them failed.';
COMMENT ON COLUMN poll_cursor.last_error IS 'Why the last request failed; null where it did not.';
COMMENT ON COLUMN poll_cursor.last_error_at IS 'When it failed.';
