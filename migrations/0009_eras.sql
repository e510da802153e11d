-- A restored log must not give any position twice, however it was restored. So an era begins wherever the tables are
-- not those that gave the last position, and wherever a gateway has read further than the log goes. Two copies of a log
-- give different tags to the eras that they begin, so that neither takes the other's positions for its own.

ALTER TABLE era ADD COLUMN tag bigint;
UPDATE era e SET tag = t.tag
FROM (
    SELECT start, CASE WHEN start = 0 THEN 0 ELSE
        max((extract(epoch FROM started_at) * 1000000)::bigint) OVER earlier + row_number() OVER earlier END AS tag
    FROM era WINDOW earlier AS (ORDER BY start ROWS UNBOUNDED PRECEDING)
) t
WHERE e.start = t.start;
ALTER TABLE era ALTER COLUMN tag SET NOT NULL;
CREATE UNIQUE INDEX era_tag ON era (tag);
COMMENT ON COLUMN era.tag IS 'Identifies the era among all eras of this log and of its copies: 0 for the first era, else about the number of microseconds from 1970 to the era''s begin. Each era has a larger tag than the era before.';
COMMENT ON COLUMN era.start IS 'A multiple of 10^12, the next one of this database. The first event of the era has the number after it. Outside of the database, an event''s position consists of the era''s tag and the event''s distance from this start.';

ALTER TABLE log_head
    ADD COLUMN era bigint NOT NULL DEFAULT 0,
    ADD COLUMN database oid NOT NULL DEFAULT 0,
    ADD COLUMN home oid NOT NULL DEFAULT 0,
    ADD COLUMN directory text;
ALTER TABLE log_head ALTER COLUMN era DROP DEFAULT, ALTER COLUMN database DROP DEFAULT, ALTER COLUMN home DROP DEFAULT;
-- A log that has events may be a restored copy, which earlier versions did not always detect: it gets a new era.
UPDATE log_head SET era = (SELECT max(tag) FROM era), home = CASE position WHEN 0 THEN tableoid ELSE 0 END,
    database = (SELECT oid FROM pg_database WHERE datname = current_database());
COMMENT ON COLUMN log_head.era IS 'The tag of the era in which the log ends.';
COMMENT ON COLUMN log_head.database IS 'The OID of the database that gave the positions of this era.';
COMMENT ON COLUMN log_head.home IS 'The OID that this table had when it gave the positions of this era. A restored table has another OID.';
COMMENT ON COLUMN log_head.directory IS 'The identity of the data directory that gave the positions of this era, which no copy of the directory has. Null if PostgreSQL is not run by a gateway.';

CREATE TABLE write_probe (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    written_at timestamptz NOT NULL
);
COMMENT ON TABLE write_probe IS 'One row that gateways update to test whether the database accepts writes.';
COMMENT ON COLUMN write_probe.singleton IS 'Always true, so that the table has one row only.';
COMMENT ON COLUMN write_probe.written_at IS 'The time of the last test.';
INSERT INTO write_probe (written_at) VALUES (now());

DROP FUNCTION log_new_era(text);
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

DROP FUNCTION log_check_era();
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
            to_regclass('sync_event_pkey'), to_regclass('sync_event_raw_pkey')
        )
    ) < 11 THEN
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

-- log_append, which refuses to append to a restored log until an era has begun there, and returns the tag of the era.
DROP FUNCTION log_append(
    text[], uuid[], text[], timestamptz[], text[], text[], text[], text[], text[], text[], text[], text[], text[],
    text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[],
    uuid[], smallint, uuid[], text[], text[], timestamptz[], text[], text[]
);
DROP FUNCTION log_append(
    text[], uuid[], text[], timestamptz[], text[], text[], text[], text[], text[], text[], text[], text[], text[],
    text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], tsvector[],
    uuid[], smallint, uuid[], text[], text[], timestamptz[], text[], text[]
);

CREATE FUNCTION log_append(
    orgs text[], uuids uuid[], event_types text[], publisheds timestamptz[], messages text[], versions text[],
    severities text[], outcome_results text[], outcome_reasons text[],
    admin_ids text[], admin_alternate_ids text[], admin_display_names text[], admin_types text[],
    user_ids text[], user_alternate_ids text[], user_display_names text[],
    application_user_ids text[], application_user_alternate_ids text[], application_user_display_names text[],
    instance_ids text[], instance_labels text[], instance_display_names text[],
    application_names text[], debug_datas text[], raws text[], words tsvector[], deliveries uuid[], way smallint,
    delivery_ids uuid[], delivery_orgs text[], delivery_event_ids text[], delivery_event_times timestamptz[],
    delivery_sources text[], delivery_headers text[],
    OUT known bigint[], -- the positions of events that are in the log already, null for the others
    OUT turns bigint[], -- which of the others an event is, from 1 on; null for the known
    OUT names text[],
    OUT head bigint,
    OUT moment timestamptz,
    OUT era bigint -- the tag of the era in which the head is
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    fresh bigint;
    is_name_open boolean;
    is_instance_new boolean;
    is_application_new boolean;
    is_type_new boolean;
    brought uuid[];
BEGIN
    SELECT array_agg(e.position), array_agg(e.ordinal), count(*) - count(e.position), array_agg(e.name),
        bool_or(e.is_name_open), bool_or(e.is_instance_new), bool_or(e.is_application_new), bool_or(e.is_type_new)
    INTO known, turns, fresh, names, is_name_open, is_instance_new, is_application_new, is_type_new
    FROM (
        SELECT i.ordinal, a.position,
            coalesce(c.application, i.application_name) AS name,
            i.instance_id <> '' AND c.application IS NULL AS is_name_open,
            i.instance_id <> '' AND c.instance_id IS NULL AS is_instance_new,
            c.application IS NULL AND i.application_name IS NOT NULL AS is_application_new,
            t.name IS NULL AS is_type_new
        FROM unnest(orgs, uuids, instance_ids, application_names, event_types) WITH ORDINALITY
            AS i (org, uuid, instance_id, application_name, event_type, ordinal)
        LEFT JOIN arrival a ON a.uuid = i.uuid AND a.org = i.org
        LEFT JOIN application_instance c ON c.org = i.org AND c.instance_id = i.instance_id
        LEFT JOIN event_type t ON t.name = i.event_type
        ORDER BY i.ordinal
    ) e;
    IF fresh < cardinality(uuids) THEN
        SELECT array_agg(f.turn), array_agg(f.delivery) FILTER (WHERE f.turn IS NOT NULL) INTO turns, brought
        FROM (
            SELECT k.delivery,
                CASE WHEN k.position IS NULL THEN
                    count(*) FILTER (WHERE k.position IS NULL) OVER (ORDER BY k.ordinal ROWS UNBOUNDED PRECEDING)
                END AS turn
            FROM unnest(known, deliveries) WITH ORDINALITY AS k (position, delivery, ordinal)
            ORDER BY k.ordinal
        ) f;
    END IF;
    IF fresh > 0 THEN
        INSERT INTO delivery
        SELECT d.*, date_trunc('milliseconds', clock_timestamp())
        FROM unnest(delivery_ids, delivery_orgs, delivery_event_ids, delivery_event_times, delivery_sources,
            delivery_headers) AS d (id, org, event_id, event_time, source, headers)
        WHERE fresh = cardinality(uuids) OR d.id = ANY (brought)
        ON CONFLICT DO NOTHING;
    END IF;

    -- Only one append at a time has the head, so what is done from here on is what limits all.
    IF fresh > 0 THEN
        UPDATE log_head h SET position = h.position + fresh WHERE h.tableoid = h.home
        RETURNING h.position - fresh, h.era INTO head, era;
    ELSE
        SELECT h.position, h.era INTO head, era FROM log_head h WHERE h.tableoid = h.home FOR UPDATE;
    END IF;
    IF head IS NULL THEN
        RAISE EXCEPTION 'the log was restored, and no gateway has begun a new era since' USING ERRCODE = 'SL001';
    END IF;
    moment := date_trunc('milliseconds', clock_timestamp());
    -- Statements of their own: their snapshots are taken after the lock, so they see everything that was appended before.
    IF is_name_open THEN
        SELECT array_agg(e.name) INTO names
        FROM (
            SELECT coalesce(c.application, n.name) AS name
            FROM unnest(orgs, instance_ids, names) WITH ORDINALITY AS n (org, instance_id, name, ordinal)
            LEFT JOIN application_instance c ON c.org = n.org AND c.instance_id = n.instance_id
            ORDER BY n.ordinal
        ) e;
    END IF;
    IF fresh < cardinality(uuids) THEN
        WITH again AS (
            UPDATE arrival a SET
                event_hook_at = CASE way WHEN 0 THEN moment ELSE a.event_hook_at END,
                system_log_at = CASE way WHEN 1 THEN moment ELSE a.system_log_at END,
                workflows_at = CASE way WHEN 2 THEN moment ELSE a.workflows_at END,
                import_at = CASE way WHEN 3 THEN moment ELSE a.import_at END,
                delivery = coalesce(a.delivery, k.delivery)
            FROM unnest(orgs, uuids, known, deliveries) AS k (org, uuid, position, delivery)
            WHERE k.position IS NOT NULL AND a.uuid = k.uuid AND a.org = k.org
                AND (ARRAY[a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at])[way + 1] IS NULL
            RETURNING k.delivery
        )
        SELECT array_agg(g.delivery) INTO brought FROM again g;
        INSERT INTO delivery
        SELECT d.*, moment
        FROM unnest(delivery_ids, delivery_orgs, delivery_event_ids, delivery_event_times, delivery_sources,
            delivery_headers) AS d (id, org, event_id, event_time, source, headers)
        WHERE d.id = ANY (brought)
        ON CONFLICT DO NOTHING;
    END IF;
    IF is_type_new THEN
        INSERT INTO event_type SELECT DISTINCT t.name FROM unnest(event_types) AS t (name) ORDER BY t.name
        ON CONFLICT DO NOTHING;
    END IF;
    IF is_instance_new THEN
        INSERT INTO application_instance (org, instance_id)
        SELECT DISTINCT f.org, f.instance_id
        FROM unnest(turns, orgs, instance_ids) AS f (turn, org, instance_id)
        WHERE f.turn IS NOT NULL AND f.instance_id <> '' ORDER BY f.org, f.instance_id
        ON CONFLICT DO NOTHING;
    END IF;
    -- An instance whose application is known has told of it before.
    IF is_application_new OR EXISTS (SELECT FROM application WHERE display_name IS NULL) THEN
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        SELECT f.org, f.name, max(f.display_name),
            count(*) FILTER (WHERE f.instance_id IS NULL), max(f.published) FILTER (WHERE f.instance_id IS NULL)
        FROM (
            SELECT i.turn, i.org, i.name, nullif(i.instance_id, '') AS instance_id, i.display_name, i.published
            FROM unnest(turns, orgs, names, instance_ids, instance_display_names, publisheds)
                AS i (turn, org, name, instance_id, display_name, published)
        ) f
        WHERE f.turn IS NOT NULL AND f.name IS NOT NULL GROUP BY f.org, f.name ORDER BY f.org, f.name
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at);
    END IF;
    -- Each column is unnested where it is needed: a common table expression would copy every event, raw included.
    WITH details AS (
        INSERT INTO sync_event_raw
        SELECT head + f.turn, f.published, f.raw
        FROM unnest(turns, publisheds, raws) AS f (turn, published, raw) WHERE f.turn IS NOT NULL
    ), arrivals AS (
        INSERT INTO arrival
        SELECT f.org, f.uuid, head + f.turn, f.published, CASE way WHEN 0 THEN moment END,
            CASE way WHEN 1 THEN moment END, CASE way WHEN 2 THEN moment END, CASE way WHEN 3 THEN moment END,
            f.delivery
        FROM unnest(turns, orgs, uuids, publisheds, deliveries) AS f (turn, org, uuid, published, delivery)
        WHERE f.turn IS NOT NULL
    ), instances AS (
        UPDATE application_instance c SET
            label = CASE WHEN f.label IS NULL OR f.label_at < c.label_at THEN c.label ELSE f.label END,
            label_at = greatest(f.label_at, c.label_at),
            application = coalesce(c.application, f.name),
            event_count = c.event_count + f.events,
            unnamed_count = c.unnamed_count + f.unnamed,
            last_event_at = greatest(c.last_event_at, f.last_event_at)
        FROM (
            SELECT o.org, o.instance_id, (array_agg(o.label) FILTER (WHERE o.label IS NOT NULL))[1] AS label,
                max(o.published) FILTER (WHERE o.label IS NOT NULL) AS label_at, min(o.name) AS name,
                count(*) AS events, count(*) FILTER (WHERE o.name IS NULL) AS unnamed,
                max(o.published) AS last_event_at
            FROM (
                SELECT i.org, i.instance_id, i.label, i.published, i.name
                FROM unnest(turns, orgs, instance_ids, instance_labels, publisheds, names)
                    AS i (turn, org, instance_id, label, published, name)
                WHERE i.turn IS NOT NULL AND i.instance_id <> '' ORDER BY i.org, i.instance_id, i.published DESC
            ) o
            GROUP BY o.org, o.instance_id
        ) f
        WHERE c.org = f.org AND c.instance_id = f.instance_id
    )
    INSERT INTO sync_event
    SELECT head + f.turn, f.published, f.org, f.uuid, f.event_type, f.message, f.version, f.severity, f.outcome_result,
        f.outcome_reason, f.admin_id, f.admin_alternate_id, f.admin_display_name, f.admin_type, f.user_id,
        f.user_alternate_id, f.user_display_name, f.application_user_id, f.application_user_alternate_id,
        f.application_user_display_name, f.instance_id, f.instance_label, f.instance_display_name, f.name,
        f.debug_data, moment, way, f.words
    FROM unnest(turns, publisheds, orgs, uuids, event_types, messages, versions, severities, outcome_results,
        outcome_reasons, admin_ids, admin_alternate_ids, admin_display_names, admin_types, user_ids,
        user_alternate_ids, user_display_names, application_user_ids, application_user_alternate_ids,
        application_user_display_names, instance_ids, instance_labels, instance_display_names, names, debug_datas,
        words)
        AS f (turn, published, org, uuid, event_type, message, version, severity, outcome_result,
            outcome_reason, admin_id, admin_alternate_id, admin_display_name, admin_type, user_id,
            user_alternate_id, user_display_name, application_user_id, application_user_alternate_id,
            application_user_display_name, instance_id, instance_label, instance_display_name, name, debug_data, words)
    WHERE f.turn IS NOT NULL;
END $$;
COMMENT ON FUNCTION log_append(
    text[], uuid[], text[], timestamptz[], text[], text[], text[], text[], text[], text[], text[], text[], text[],
    text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], tsvector[],
    uuid[], smallint, uuid[], text[], text[], timestamptz[], text[], text[]
) IS 'Appends events, none of them twice, and tells of each one where it is: known ones at their position, the others at the head plus their turn; which application name it has; and when all this was stored. All came by one way, and none is twice among them. Columns of events come as arrays, and so do those of their deliveries. A unique violation says that somebody has just appended one of them: try again.';
