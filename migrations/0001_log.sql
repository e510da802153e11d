-- The log: events in the order of their commits, and what is stored beside them. The function that appends is no part of
-- a migration: src/store/append/log_append.sql has it.

CREATE TABLE log_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position bigint NOT NULL,
    system_identifier text NOT NULL,
    timeline text NOT NULL,
    era bigint NOT NULL,
    database oid NOT NULL,
    home oid NOT NULL,
    directory text
) WITH (fillfactor = 10);
COMMENT ON TABLE log_head IS 'The end of the log, in one row. An append locks the row until it commits, so positions have no gaps and grow in the order of commits.';
COMMENT ON COLUMN log_head.singleton IS 'Constant true, which limits the table to one row.';
COMMENT ON COLUMN log_head.position IS 'The position of the newest event, or the start of the era while the era has no event.';
COMMENT ON COLUMN log_head.system_identifier IS 'The system identifier of the database cluster that gave the positions of this era.';
COMMENT ON COLUMN log_head.timeline IS 'The timeline of that cluster, as eight hexadecimal digits.';
COMMENT ON COLUMN log_head.era IS 'The tag of the era in which the log ends.';
COMMENT ON COLUMN log_head.database IS 'The OID of the database that gave the positions of this era.';
COMMENT ON COLUMN log_head.home IS 'The OID that this table had when it gave the positions of this era. A restored table has another OID.';
COMMENT ON COLUMN log_head.directory IS 'The identity of the data directory that gave the positions of this era, which no copy of the directory has. Null if PostgreSQL is not run by a gateway.';

CREATE TABLE era (
    start bigint PRIMARY KEY,
    previous_end bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,
    tag bigint NOT NULL
);
CREATE UNIQUE INDEX era_tag ON era (tag);
COMMENT ON TABLE era IS 'Stretches of positions. A restore or a failover begins a new era, so that no position is given twice.';
COMMENT ON COLUMN era.start IS 'The number before that of the era''s first event: a multiple of 10^12, the next one of this database. Outside of the database, an event''s position consists of the era''s tag and the event''s distance from this start.';
COMMENT ON COLUMN era.previous_end IS 'The last valid position of the era before. Later positions of that era were lost.';
COMMENT ON COLUMN era.started_at IS 'The time at which the era began.';
COMMENT ON COLUMN era.reason IS 'The reason for which the era began, in words.';
COMMENT ON COLUMN era.tag IS 'Identity of the era among all eras of this log and of its copies: 0 for the first era, else about the number of microseconds from 1970 to the era''s begin. Each era has a larger tag than the era before.';

INSERT INTO era (start, previous_end, reason, tag) VALUES (0, 0, 'the log was created', 0);
INSERT INTO log_head (position, system_identifier, timeline, era, database, home)
SELECT 0, c.system_identifier::text, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), 0, d.oid, 'log_head'::regclass
FROM pg_control_system() c, pg_database d WHERE d.datname = current_database();

CREATE TABLE partition_change (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE partition_change IS 'The number of changes of partitions, in one row. PostgreSQL plans a query before the query sees the data. So a query that finds another number than the last query did may have been planned without a partition, and is sent again.';
COMMENT ON COLUMN partition_change.singleton IS 'Constant true, which limits the table to one row.';
COMMENT ON COLUMN partition_change.number IS 'The number of changes.';
INSERT INTO partition_change DEFAULT VALUES;

CREATE TABLE write_probe (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    written_at timestamptz NOT NULL
);
COMMENT ON TABLE write_probe IS 'One row that gateways update to test whether the database accepts writes.';
COMMENT ON COLUMN write_probe.singleton IS 'Constant true, which limits the table to one row.';
COMMENT ON COLUMN write_probe.written_at IS 'The time of the last test.';
INSERT INTO write_probe (written_at) VALUES (now());

-- raw is bytea and not json: Okta's bytes come back as they came, U+0000 escapes included, and nothing is parsed twice.
-- sluice compresses each event with a dictionary of what events have in common. PostgreSQL's own compression has none, and
-- leaves rows of less than 2 kB as they are.
CREATE TABLE sync_event (
    position bigint NOT NULL,
    published timestamptz NOT NULL,
    org text COLLATE "C" NOT NULL,
    uuid uuid NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    message text COLLATE "C",
    version text COLLATE "C",
    severity text COLLATE "C",
    outcome_result text COLLATE "C",
    outcome_reason text COLLATE "C",
    admin_id text COLLATE "C",
    admin_alternate_id text COLLATE "C",
    admin_display_name text COLLATE "C",
    admin_type text COLLATE "C",
    user_id text COLLATE "C",
    user_alternate_id text COLLATE "C",
    user_display_name text COLLATE "C",
    application_user_id text COLLATE "C",
    application_user_alternate_id text COLLATE "C",
    application_user_display_name text COLLATE "C",
    instance_id text COLLATE "C",
    instance_label text COLLATE "C",
    instance_display_name text COLLATE "C",
    application_name text COLLATE "C",
    debug_data text COLLATE "C",
    received_at timestamptz NOT NULL,
    first_source smallint NOT NULL,
    words tsvector,
    raw bytea NOT NULL,
    PRIMARY KEY (published, position)
) PARTITION BY RANGE (published);
-- Each list in a filter is ranges of an index in the order of pages, one for each value. Events of the newest org, of the
-- same way in and of the same type of admin go to the end of a range, which is the cheapest of all places to insert them.
CREATE INDEX sync_event_org ON sync_event (org, published, position);
CREATE INDEX sync_event_source ON sync_event (first_source, published, position);
CREATE INDEX sync_event_admin_type ON sync_event (admin_type, published, position);
CREATE INDEX sync_event_instance ON sync_event (instance_id, published, position);
CREATE INDEX sync_event_application ON sync_event (application_name, published, position);
CREATE INDEX sync_event_type ON sync_event (event_type, published, position);
-- An order by lower case serves e-mail addresses, which compare without regard to case, be they ids or alternate ids; in the
-- collation "C" that is ASCII's. A partial index leaves out what nobody filters by: missing values, the success that most
-- events are, and the severity that most events have.
CREATE INDEX sync_event_user ON sync_event (lower(user_id), published, position) WHERE user_id IS NOT NULL;
CREATE INDEX sync_event_user_alternate ON sync_event (lower(user_alternate_id), published, position)
    WHERE user_alternate_id IS NOT NULL;
CREATE INDEX sync_event_admin ON sync_event (lower(admin_id), published, position) WHERE admin_id IS NOT NULL;
CREATE INDEX sync_event_admin_alternate ON sync_event (lower(admin_alternate_id), published, position)
    WHERE admin_alternate_id IS NOT NULL;
CREATE INDEX sync_event_application_user ON sync_event (lower(application_user_id), published, position)
    WHERE application_user_id IS NOT NULL;
CREATE INDEX sync_event_application_user_alternate
    ON sync_event (lower(application_user_alternate_id), published, position)
    WHERE application_user_alternate_id IS NOT NULL;
CREATE INDEX sync_event_outcome ON sync_event (outcome_result, published, position) WHERE outcome_result <> 'SUCCESS';
CREATE INDEX sync_event_severity ON sync_event (severity, published, position) WHERE severity <> 'INFO';
CREATE INDEX sync_event_words ON sync_event USING gin (words);
CREATE INDEX sync_event_without_words ON sync_event (published, position) WHERE words IS NULL;
COMMENT ON TABLE sync_event IS 'Events, in monthly partitions by published. A row does not change, except that an application name may be added later.';
COMMENT ON COLUMN sync_event.position IS 'The event''s place in the log, unique over all partitions (see arrival).';
COMMENT ON COLUMN sync_event.published IS 'The time at which the event happened in Okta, to the millisecond.';
COMMENT ON COLUMN sync_event.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN sync_event.uuid IS 'Okta''s identity of the event within the org.';
COMMENT ON COLUMN sync_event.event_type IS 'Okta''s eventType.';
COMMENT ON COLUMN sync_event.message IS 'Okta''s displayMessage.';
COMMENT ON COLUMN sync_event.version IS 'Okta''s version of the event''s form.';
COMMENT ON COLUMN sync_event.severity IS 'Okta''s severity, as sent.';
COMMENT ON COLUMN sync_event.outcome_result IS 'Okta''s outcome.result.';
COMMENT ON COLUMN sync_event.outcome_reason IS 'Okta''s outcome.reason.';
COMMENT ON COLUMN sync_event.admin_id IS 'Okta''s actor.id. Null if the event has no actor.';
COMMENT ON COLUMN sync_event.admin_alternate_id IS 'Okta''s actor.alternateId.';
COMMENT ON COLUMN sync_event.admin_display_name IS 'Okta''s actor.displayName.';
COMMENT ON COLUMN sync_event.admin_type IS 'Okta''s actor.type.';
COMMENT ON COLUMN sync_event.user_id IS 'The id of the target of type User. Null if the event has no such target.';
COMMENT ON COLUMN sync_event.user_alternate_id IS 'The alternateId of that target: the Okta login.';
COMMENT ON COLUMN sync_event.user_display_name IS 'The displayName of that target.';
COMMENT ON COLUMN sync_event.application_user_id IS 'The id of the target of type AppUser. Null if the event has no such target.';
COMMENT ON COLUMN sync_event.application_user_alternate_id IS 'The alternateId of that target: the user name in the application.';
COMMENT ON COLUMN sync_event.application_user_display_name IS 'The displayName of that target.';
COMMENT ON COLUMN sync_event.instance_id IS 'The id of the target of type AppInstance, which is the application instance. Null if the event has no such target.';
COMMENT ON COLUMN sync_event.instance_label IS 'The alternateId of that target: the instance''s label at that time.';
COMMENT ON COLUMN sync_event.instance_display_name IS 'The displayName of that target: the application''s name in Okta''s catalogue.';
COMMENT ON COLUMN sync_event.application_name IS 'Okta''s key of the application: from the table application_instance if the key was known there, else from the event. Null until the key is known.';
COMMENT ON COLUMN sync_event.debug_data IS 'Okta''s debugContext.debugData, the JSON text as sent.';
COMMENT ON COLUMN sync_event.received_at IS 'The time of the append, by the database''s clock, to the millisecond.';
COMMENT ON COLUMN sync_event.first_source IS 'The way by which the event came first: 0 event hook, 1 System Log, 2 Workflows, 3 import, 4 Log Streaming.';
COMMENT ON COLUMN sync_event.words IS 'The words of the message, the names and the alternate ids, for search. A gateway cuts them, not the database. The weight is the place: A the admin, B the user, C the application user, D the rest.';
COMMENT ON COLUMN sync_event.raw IS 'The event''s JSON, byte for byte: a frame of zstd with a dictionary of src/store/raw_json, whose id is in the frame; or JSON as it is.';

CREATE TABLE arrival (
    org text COLLATE "C" NOT NULL,
    uuid uuid NOT NULL,
    position bigint NOT NULL,
    published timestamptz NOT NULL,
    event_hook_at timestamptz,
    system_log_at timestamptz,
    workflows_at timestamptz,
    import_at timestamptz,
    delivery uuid,
    log_stream_at timestamptz,
    PRIMARY KEY (uuid, org)
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX arrival_position ON arrival (position) INCLUDE (published);
COMMENT ON TABLE arrival IS 'Identities of all events, and the times at which they arrived. The primary key guarantees that an event is stored once. These rows change, those of sync_event do not.';
COMMENT ON COLUMN arrival.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN arrival.uuid IS 'Okta''s identity of the event.';
COMMENT ON COLUMN arrival.position IS 'The event''s place in the log.';
COMMENT ON COLUMN arrival.published IS 'The event''s published, which determines the partition.';
COMMENT ON COLUMN arrival.event_hook_at IS 'The time at which an event hook brought the event first.';
COMMENT ON COLUMN arrival.system_log_at IS 'The time at which the System Log brought the event first.';
COMMENT ON COLUMN arrival.workflows_at IS 'The time at which Workflows brought the event first.';
COMMENT ON COLUMN arrival.import_at IS 'The time at which an import brought the event first.';
COMMENT ON COLUMN arrival.delivery IS 'The id of the event hook delivery that brought the event first.';
COMMENT ON COLUMN arrival.log_stream_at IS 'The time at which Log Streaming brought the event first.';

CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    org text COLLATE "C" NOT NULL,
    event_id text COLLATE "C",
    event_time timestamptz,
    source text COLLATE "C",
    headers text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE delivery IS 'Event hook deliveries that brought an event first.';
COMMENT ON COLUMN delivery.id IS 'An id that sluice gives the delivery. Ids grow with time.';
COMMENT ON COLUMN delivery.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN delivery.event_id IS 'The envelope''s eventId.';
COMMENT ON COLUMN delivery.event_time IS 'The envelope''s eventTime.';
COMMENT ON COLUMN delivery.source IS 'The envelope''s source: the hook''s address.';
COMMENT ON COLUMN delivery.headers IS 'The kept headers of the request, as a JSON object.';
COMMENT ON COLUMN delivery.received_at IS 'The time at which the delivery was stored, by the database''s clock.';

CREATE TABLE headers_reduced (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    through uuid NOT NULL
);
COMMENT ON TABLE headers_reduced IS 'The progress of gateways that remove headers which earlier versions stored with deliveries and which are no longer kept, in one row.';
COMMENT ON COLUMN headers_reduced.singleton IS 'Constant true, which limits the table to one row.';
COMMENT ON COLUMN headers_reduced.through IS 'The id of the last delivery that was looked at.';
INSERT INTO headers_reduced (through) VALUES ('00000000-0000-0000-0000-000000000000');

CREATE TABLE event_type (
    name text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE event_type IS 'Event types that have come. A filter on a family of types looks its members up here.';
COMMENT ON COLUMN event_type.name IS 'Okta''s eventType.';

CREATE TABLE application (
    org text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    display_name text COLLATE "C",
    event_count bigint NOT NULL DEFAULT 0,
    last_event_at timestamptz,
    PRIMARY KEY (org, name)
) WITH (fillfactor = 50);
CREATE INDEX application_without_display_name ON application (org) WHERE display_name IS NULL;
COMMENT ON TABLE application IS 'Applications, each of which may have several instances.';
COMMENT ON COLUMN application.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN application.name IS 'Okta''s key of the application, such as office365.';
COMMENT ON COLUMN application.display_name IS 'The application''s name in Okta''s catalogue.';
COMMENT ON COLUMN application.event_count IS 'The number of events that name the application without an instance. The others are counted at their instances.';
COMMENT ON COLUMN application.last_event_at IS 'The time at which the newest of those events happened.';

CREATE TABLE application_instance (
    org text COLLATE "C" NOT NULL,
    instance_id text COLLATE "C" NOT NULL,
    label text COLLATE "C",
    label_at timestamptz,
    status text COLLATE "C",
    application text COLLATE "C",
    event_count bigint NOT NULL DEFAULT 0,
    unnamed_count bigint NOT NULL DEFAULT 0,
    last_event_at timestamptz,
    PRIMARY KEY (org, instance_id)
) WITH (fillfactor = 50);
CREATE INDEX application_instance_of ON application_instance (org, application, instance_id);
CREATE INDEX application_instance_unnamed ON application_instance (org, instance_id)
    WHERE unnamed_count > 0 AND application IS NOT NULL;
COMMENT ON TABLE application_instance IS 'Application instances, which an Okta admin configures and labels.';
COMMENT ON COLUMN application_instance.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN application_instance.instance_id IS 'Okta''s id of the instance, such as 0oahjhk34aUxGnWcZ0h7.';
COMMENT ON COLUMN application_instance.label IS 'The label that the newest event has for the instance.';
COMMENT ON COLUMN application_instance.label_at IS 'The time at which that event happened.';
COMMENT ON COLUMN application_instance.status IS 'Okta''s status. Null while only events have named the instance.';
COMMENT ON COLUMN application_instance.application IS 'Okta''s key of the application. Null until known, then constant.';
COMMENT ON COLUMN application_instance.event_count IS 'The number of events that name the instance.';
COMMENT ON COLUMN application_instance.unnamed_count IS 'The number of those events that were stored before the application''s name was known and still lack it.';
COMMENT ON COLUMN application_instance.last_event_at IS 'The time at which the newest of those events happened.';

CREATE TABLE rejected (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org text COLLATE "C" NOT NULL,
    source smallint NOT NULL,
    reason text COLLATE "C" NOT NULL,
    raw bytea NOT NULL,
    digest bytea NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL DEFAULT now(),
    file text COLLATE "C",
    line bigint,
    UNIQUE (org, digest)
);
COMMENT ON TABLE rejected IS 'Records that could not be read, with all their bytes.';
COMMENT ON COLUMN rejected.id IS 'The number of the record.';
COMMENT ON COLUMN rejected.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN rejected.source IS 'The way by which the record came, as in sync_event.first_source.';
COMMENT ON COLUMN rejected.reason IS 'The reason for which the record could not be read.';
COMMENT ON COLUMN rejected.raw IS 'The record''s bytes.';
COMMENT ON COLUMN rejected.digest IS 'SHA-256 of the bytes. A record that comes again is stored once.';
COMMENT ON COLUMN rejected.times IS 'The number of times that the record has come.';
COMMENT ON COLUMN rejected.received_at IS 'The time at which the record came first.';
COMMENT ON COLUMN rejected.file IS 'The name of the imported file that has the record. Null if the record came by another way.';
COMMENT ON COLUMN rejected.line IS 'The line of the import on which the record begins, from 1. Null if the record came by another way.';

CREATE TABLE hook_refusal (
    org text COLLATE "C" PRIMARY KEY,
    refused_at timestamptz NOT NULL,
    reason text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE hook_refusal IS 'The last request for each org that did not have a hook secret.';
COMMENT ON COLUMN hook_refusal.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN hook_refusal.refused_at IS 'The time at which the request came, by the clock of the gateway.';
COMMENT ON COLUMN hook_refusal.reason IS 'The fault of the request.';

CREATE TABLE ingest_tally (
    org text COLLATE "C" NOT NULL,
    source smallint NOT NULL,
    arrived bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    last_arrival_at timestamptz NOT NULL,
    first_arrival_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org, source)
-- Every append changes a row. The new versions of a row have room in its page, beside the old ones.
) WITH (fillfactor = 10);
COMMENT ON TABLE ingest_tally IS 'Counts of what has come by each way. An append counts its events in its own transaction, while it holds the head of the log.';
COMMENT ON COLUMN ingest_tally.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN ingest_tally.source IS 'The way, as in sync_event.first_source.';
COMMENT ON COLUMN ingest_tally.arrived IS 'The number of events that came first by this way.';
COMMENT ON COLUMN ingest_tally.duplicates IS 'The number of events that came by this way and were stored already.';
COMMENT ON COLUMN ingest_tally.last_arrival_at IS 'The time at which something came last by this way.';
COMMENT ON COLUMN ingest_tally.first_arrival_at IS 'The time at which something came first by this way. Event hooks did not miss events that happened before.';

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
COMMENT ON TABLE poll_cursor IS 'The progress of reading each org''s System Log. The cursor moves in the transaction that appends a page''s events.';
COMMENT ON COLUMN poll_cursor.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN poll_cursor.revision IS 'The number of moves. A gateway that does not know the present number no longer reads this System Log.';
COMMENT ON COLUMN poll_cursor.filter IS 'The hash of the configured filter. A change of the filter makes sluice read again what Okta still has.';
COMMENT ON COLUMN poll_cursor.backfill_from IS 'The time from which events are read with this filter: 90 days before the first request.';
COMMENT ON COLUMN poll_cursor.start_at IS 'The time from which to start while there is no link. Okta''s clock gives it, at which Okta stored the event.';
COMMENT ON COLUMN poll_cursor.next_link IS 'The link to the next page, as Okta gave it. Null at the start, and after Okta refused a link.';
COMMENT ON COLUMN poll_cursor.read_through IS 'The time before which everything that Okta had stored, by Okta''s clock, was read.';
COMMENT ON COLUMN poll_cursor.caught_up_at IS 'The time at which the end of the System Log was last reached. Null until it is reached for the first time with this filter.';
COMMENT ON COLUMN poll_cursor.polled_at IS 'The time of Okta''s last answer.';
COMMENT ON COLUMN poll_cursor.failed_deliveries IS 'The number of failed event hook deliveries that Okta has reported.';
COMMENT ON COLUMN poll_cursor.failed_delivery_at IS 'The time at which the newest of them failed.';
COMMENT ON COLUMN poll_cursor.last_error IS 'The error of the last request. Null if the request succeeded.';
COMMENT ON COLUMN poll_cursor.last_error_at IS 'The time of that error.';

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
COMMENT ON TABLE read_window IS 'Stretches of time whose events were all read from the System Log, some time after the stretch was over. A join with arrival finds the events that hooks missed.';
COMMENT ON COLUMN read_window.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN read_window.filter IS 'The hash of the filter, as in poll_cursor.';
COMMENT ON COLUMN read_window.from_at IS 'The begin of the stretch, inclusive.';
COMMENT ON COLUMN read_window.until_at IS 'The end of the stretch, exclusive.';
COMMENT ON COLUMN read_window.read_at IS 'The time of the read, by Okta''s clock.';
COMMENT ON COLUMN read_window.events IS 'The number of events that were read; 0 for a stretch that the poller had read before.';
COMMENT ON COLUMN read_window.found IS 'The number of those events that had not come before by any way.';

CREATE TABLE tail_key (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE tail_key IS 'The key with which gateways sign the events that they send each other over NATS, in one row.';
COMMENT ON COLUMN tail_key.singleton IS 'Constant true, which limits the table to one row.';
COMMENT ON COLUMN tail_key.key IS 'The key: 32 bytes, of which 244 bits are random.';
INSERT INTO tail_key (key)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- A restored log must not give any position twice, however it was restored. So an era begins wherever the tables are
-- not those that gave the last position, and wherever a gateway has read further than the log goes. Two copies of a log
-- give different tags to the eras that they begin, so that neither takes the other's positions for its own.
CREATE FUNCTION log_new_era(why text, after_era bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
    started bigint;
    latest bigint;
    new_tag bigint;
BEGIN
    SELECT position INTO STRICT ended FROM log_head FOR UPDATE;
    started := (ended / 1000000000000 + 1) * 1000000000000;
    SELECT greatest(max(e.tag), after_era) INTO latest FROM era e;
    -- If the clock is behind the latest tag, a random number makes it unlikely that two copies choose the same tag.
    new_tag := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                        latest + 1 + floor(random() * 1000000)::bigint);
    INSERT INTO era (start, previous_end, reason, tag) VALUES (started, ended, why, new_tag);
    UPDATE log_head SET position = started, era = new_tag;
    PERFORM pg_notify('sluice_log', '');
    RETURN new_tag;
END $$;
COMMENT ON FUNCTION log_new_era IS 'Begins an era and returns its tag, which is larger than after_era and than the tag of every era in this database.';

CREATE FUNCTION log_era_fault(head log_head, own_directory text, read_era bigint, read_number bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    cluster text := (SELECT system_identifier::text FROM pg_control_system());
    line text := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
    own_database oid := (SELECT oid FROM pg_database WHERE datname = current_database());
BEGIN
    RETURN CASE
        WHEN head.system_identifier <> cluster THEN
            format('the log moved from cluster %s to cluster %s', head.system_identifier, cluster)
        WHEN head.timeline <> line THEN
            format('the cluster went over from time line %s to time line %s', head.timeline, line)
        WHEN head.database <> own_database THEN
            format('the log moved from database number %s to database number %s', head.database, own_database)
        WHEN head.home <> 'log_head'::regclass THEN 'the tables were restored'
        WHEN head.directory <> own_directory THEN 'the data directory is a copy, or was put back'
        WHEN read_era > head.era OR read_era = head.era AND read_number > head.position % 1000000000000 THEN
            format('a gateway has read through %s in the era %s, and the log ends at %s in the era %s',
                   read_number, read_era, head.position % 1000000000000, head.era)
    END;
END $$;
COMMENT ON FUNCTION log_era_fault IS 'Returns the reason why positions need a new era, or null if they can continue in the current one. A new era is needed if the cluster, its timeline, the database, the table log_head or the data directory is not the one that gave the last position, or if a gateway has read further than the log goes.';

CREATE FUNCTION log_check_era(own_directory text, read_era bigint, read_number bigint)
RETURNS TABLE (reason text, tag bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head log_head;
    why text;
BEGIN
    SELECT h.* INTO STRICT head FROM log_head h;
    IF log_era_fault(head, own_directory, read_era, read_number) IS NULL
        AND (own_directory IS NULL OR head.directory IS NOT NULL)
    THEN
        RETURN;
    END IF;
    IF head.home <> 'log_head'::regclass AND (
        SELECT count(*) FROM pg_index i
        WHERE i.indisvalid AND i.indexrelid IN (
            to_regclass('application_pkey'), to_regclass('application_instance_pkey'), to_regclass('arrival_pkey'),
            to_regclass('arrival_position'), to_regclass('delivery_pkey'), to_regclass('era_pkey'),
            to_regclass('event_type_pkey'), to_regclass('ingest_tally_pkey'), to_regclass('poll_cursor_pkey'),
            to_regclass('sync_event_pkey')
        )
    ) < 10 THEN
        RAISE EXCEPTION 'the log is being restored: some of its indexes are not there yet' USING ERRCODE = '57P03';
    END IF;
    SELECT h.* INTO STRICT head FROM log_head h FOR UPDATE;
    why := log_era_fault(head, own_directory, read_era, read_number);
    UPDATE log_head h SET
        system_identifier = (SELECT c.system_identifier::text FROM pg_control_system() c),
        timeline = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8),
        database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
        home = h.tableoid,
        directory = coalesce(own_directory, h.directory);
    IF why IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT why, log_new_era(why, read_era);
END $$;
COMMENT ON FUNCTION log_check_era IS 'Begins an era if positions cannot continue in the current one, and returns the reason and the tag; otherwise returns no row. A gateway calls it on each new connection that is to append, and when the gateway has read further than the log goes. own_directory is the identity of the gateway''s own data directory, or null if it has none. read_era and read_number are the tag of the era and the number in that era of the furthest position that the gateway has read.';

CREATE FUNCTION log_add_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    partition text := 'sync_event' || to_char(month, '_YYYY_MM');
    first timestamptz := month::timestamp AT TIME ZONE 'UTC';
    next timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('sluice: partitions'));
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE sync_event INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE sync_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, first, next);
    UPDATE partition_change SET number = number + 1;
END $$;
COMMENT ON FUNCTION log_add_month IS 'Creates the partition of the month that starts on this day, unless it exists. A gateway calls it outside of any append; the partition is first created and then attached, so that no append waits for it.';
