-- The log: events in the order of their commits, and all that append keeps beside them.

CREATE TABLE log_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    position bigint NOT NULL,
    system_identifier text NOT NULL,
    timeline text NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE log_head IS 'The end of the log, one row. A writer holds it while it appends, so positions are gapless and in commit order.';
COMMENT ON COLUMN log_head.singleton IS 'Always true: there is one head.';
COMMENT ON COLUMN log_head.position IS 'The position of the newest event; an era''s start while the era is empty.';
COMMENT ON COLUMN log_head.system_identifier IS 'The database cluster that gave the positions of this era.';
COMMENT ON COLUMN log_head.timeline IS 'That cluster''s time line, eight hexadecimal digits.';

CREATE TABLE partition_change (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE partition_change IS 'How often partitions have come and gone, one row. A query is planned before it sees the data: one that finds a new number here may have been planned without a partition, and is asked again.';
COMMENT ON COLUMN partition_change.singleton IS 'Always true: there is one number.';
COMMENT ON COLUMN partition_change.number IS 'Grows with each change.';
INSERT INTO partition_change DEFAULT VALUES;

CREATE TABLE era (
    start bigint PRIMARY KEY,
    previous_end bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL
);
COMMENT ON TABLE era IS 'Stretches of positions. A restore or a failover starts a new one, so that no position is given twice.';
COMMENT ON COLUMN era.start IS 'A multiple of 10^12; the first event of the era comes right after it.';
COMMENT ON COLUMN era.previous_end IS 'The last position of the era before it that still stands: what lies between was lost.';
COMMENT ON COLUMN era.started_at IS 'When the era began.';
COMMENT ON COLUMN era.reason IS 'Why it began, in words.';

INSERT INTO era (start, previous_end, reason) VALUES (0, 0, 'the log was created');
INSERT INTO log_head (position, system_identifier, timeline)
SELECT 0, system_identifier::text, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_control_system();

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
    PRIMARY KEY (published, position)
) PARTITION BY RANGE (published);
CREATE INDEX sync_event_instance ON sync_event (instance_id, published, position);
CREATE INDEX sync_event_application ON sync_event (application_name, published, position);
CREATE INDEX sync_event_type ON sync_event (event_type, published, position);
COMMENT ON TABLE sync_event IS 'Every event, in monthly partitions of published. Rows do not change, but for an application name learned later.';
COMMENT ON COLUMN sync_event.position IS 'Its place in the log, unique over all partitions (see arrival).';
COMMENT ON COLUMN sync_event.published IS 'When it happened in Okta, to the millisecond.';
COMMENT ON COLUMN sync_event.org IS 'The configured name of the Okta org it came from.';
COMMENT ON COLUMN sync_event.uuid IS 'Okta''s identity of the event within the org.';
COMMENT ON COLUMN sync_event.event_type IS 'Okta''s eventType.';
COMMENT ON COLUMN sync_event.message IS 'Okta''s displayMessage.';
COMMENT ON COLUMN sync_event.version IS 'Okta''s version of the event''s form.';
COMMENT ON COLUMN sync_event.severity IS 'Okta''s severity, as sent.';
COMMENT ON COLUMN sync_event.outcome_result IS 'Okta''s outcome.result.';
COMMENT ON COLUMN sync_event.outcome_reason IS 'Okta''s outcome.reason.';
COMMENT ON COLUMN sync_event.admin_id IS 'The actor''s id; null where there was no actor.';
COMMENT ON COLUMN sync_event.admin_alternate_id IS 'The actor''s alternateId.';
COMMENT ON COLUMN sync_event.admin_display_name IS 'The actor''s displayName.';
COMMENT ON COLUMN sync_event.admin_type IS 'The actor''s type.';
COMMENT ON COLUMN sync_event.user_id IS 'Id of the target of type User; null where there was none.';
COMMENT ON COLUMN sync_event.user_alternate_id IS 'Its alternateId: the Okta login.';
COMMENT ON COLUMN sync_event.user_display_name IS 'Its displayName.';
COMMENT ON COLUMN sync_event.application_user_id IS 'Id of the target of type AppUser; null where there was none.';
COMMENT ON COLUMN sync_event.application_user_alternate_id IS 'Its alternateId: the user name in the application.';
COMMENT ON COLUMN sync_event.application_user_display_name IS 'Its displayName.';
COMMENT ON COLUMN sync_event.instance_id IS 'Id of the target of type AppInstance: the application instance; null where there was none.';
COMMENT ON COLUMN sync_event.instance_label IS 'Its alternateId: the instance''s label as it was then.';
COMMENT ON COLUMN sync_event.instance_display_name IS 'Its displayName: the application''s name in Okta''s catalogue.';
COMMENT ON COLUMN sync_event.application_name IS 'Okta''s key of the application: the catalogue''s where it knew it, else the event''s; null until learned.';
COMMENT ON COLUMN sync_event.debug_data IS 'debugContext.debugData, the JSON text as sent.';
COMMENT ON COLUMN sync_event.received_at IS 'When it was appended, by the database''s clock, to the millisecond.';
COMMENT ON COLUMN sync_event.first_source IS 'The way that brought it first: 0 event hook, 1 System Log, 2 Workflows, 3 import.';

-- text and not json: Okta's bytes come back as they came, U+0000 escapes included, and nothing is parsed twice. Not
-- bytea: it is text, and psql shows it. 1.5 kB stays inline; larger ones are compressed by TOAST.
CREATE TABLE sync_event_raw (
    position bigint NOT NULL,
    published timestamptz NOT NULL,
    raw text COLLATE "C" NOT NULL,
    PRIMARY KEY (published, position)
) PARTITION BY RANGE (published);
COMMENT ON TABLE sync_event_raw IS 'The events as Okta sent them, beside sync_event so that lists never touch them.';
COMMENT ON COLUMN sync_event_raw.position IS 'The event''s position.';
COMMENT ON COLUMN sync_event_raw.published IS 'The event''s published, by which both tables are partitioned.';
COMMENT ON COLUMN sync_event_raw.raw IS 'The event''s JSON, byte for byte.';

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
    PRIMARY KEY (uuid, org)
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX arrival_position ON arrival (position) INCLUDE (published);
COMMENT ON TABLE arrival IS 'The identity of every event: its primary key makes "stored once" true. It is what changes; the log does not.';
COMMENT ON COLUMN arrival.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN arrival.uuid IS 'Okta''s identity of the event.';
COMMENT ON COLUMN arrival.position IS 'Its place in the log.';
COMMENT ON COLUMN arrival.published IS 'Its published, to find its partition.';
COMMENT ON COLUMN arrival.event_hook_at IS 'When an event hook brought it first.';
COMMENT ON COLUMN arrival.system_log_at IS 'When the System Log brought it first.';
COMMENT ON COLUMN arrival.workflows_at IS 'When Workflows brought it first.';
COMMENT ON COLUMN arrival.import_at IS 'When an import brought it first.';
COMMENT ON COLUMN arrival.delivery IS 'The event hook delivery that brought it first.';

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
COMMENT ON COLUMN delivery.id IS 'sluice''s own id of the delivery, in the order of time.';
COMMENT ON COLUMN delivery.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN delivery.event_id IS 'The envelope''s eventId.';
COMMENT ON COLUMN delivery.event_time IS 'The envelope''s eventTime.';
COMMENT ON COLUMN delivery.source IS 'The envelope''s source: the hook''s address.';
COMMENT ON COLUMN delivery.headers IS 'The request''s headers as a JSON object, secrets redacted.';
COMMENT ON COLUMN delivery.received_at IS 'When it was stored, by the database''s clock.';

CREATE TABLE application (
    org text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    display_name text COLLATE "C",
    event_count bigint NOT NULL DEFAULT 0,
    last_event_at timestamptz,
    PRIMARY KEY (org, name)
) WITH (fillfactor = 50);
CREATE INDEX application_without_display_name ON application (org) WHERE display_name IS NULL;
COMMENT ON TABLE application IS 'Applications: what several instances are instances of.';
COMMENT ON COLUMN application.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN application.name IS 'Okta''s key: office365.';
COMMENT ON COLUMN application.display_name IS 'Its name in Okta''s catalogue of applications.';
COMMENT ON COLUMN application.event_count IS 'How many events named it without naming an instance; the rest is counted at its instances.';
COMMENT ON COLUMN application.last_event_at IS 'When the newest of those happened.';

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
COMMENT ON TABLE application_instance IS 'Application instances: what an Okta admin configures and gives a label.';
COMMENT ON COLUMN application_instance.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN application_instance.instance_id IS 'Okta''s id: 0oahjhk34aUxGnWcZ0h7.';
COMMENT ON COLUMN application_instance.label IS 'What people call it, as the newest event tells.';
COMMENT ON COLUMN application_instance.label_at IS 'When the event that told the label happened.';
COMMENT ON COLUMN application_instance.status IS 'Okta''s status; null where only events told of it.';
COMMENT ON COLUMN application_instance.application IS 'Okta''s key of its application; null until learned, then it stays.';
COMMENT ON COLUMN application_instance.event_count IS 'How many events name it.';
COMMENT ON COLUMN application_instance.unnamed_count IS 'How many of them were stored before the application''s name was known and do not have it yet.';
COMMENT ON COLUMN application_instance.last_event_at IS 'When the newest of them happened.';

CREATE TABLE rejected (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org text COLLATE "C" NOT NULL,
    source smallint NOT NULL,
    reason text COLLATE "C" NOT NULL,
    raw bytea NOT NULL,
    digest bytea NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org, digest)
);
COMMENT ON TABLE rejected IS 'What came in and could not be read, kept whole.';
COMMENT ON COLUMN rejected.id IS 'Its number.';
COMMENT ON COLUMN rejected.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN rejected.source IS 'The way by which it came, as in sync_event.first_source.';
COMMENT ON COLUMN rejected.reason IS 'Why it could not be read.';
COMMENT ON COLUMN rejected.raw IS 'Its bytes.';
COMMENT ON COLUMN rejected.digest IS 'SHA-256 of its bytes: the same thing sent again is kept once.';
COMMENT ON COLUMN rejected.times IS 'How often it has come.';
COMMENT ON COLUMN rejected.received_at IS 'When it came first.';
