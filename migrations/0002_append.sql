-- Append is one function, so that nothing between taking the log's head and the commit waits for a client. Who appended
-- tells the others (channel sluice_log) after its commit: in the transaction, that would cost every append more than the
-- rest of it, as listeners wake before the sender has its answer.

CREATE FUNCTION log_new_era(why text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
    started bigint;
BEGIN
    SELECT position INTO STRICT ended FROM log_head FOR UPDATE;
    started := (ended / 1000000000000 + 1) * 1000000000000;
    INSERT INTO era (start, previous_end, reason) VALUES (started, ended, why);
    UPDATE log_head SET position = started;
    PERFORM pg_notify('sluice_log', started::text);
    RETURN started;
END $$;
COMMENT ON FUNCTION log_new_era IS 'Starts a new era and gives its start.';

-- A connection outlives neither a restore nor a failover, so to check each new one checks every append.
CREATE FUNCTION log_check_era() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
    cluster text := (SELECT system_identifier::text FROM pg_control_system());
    line text := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
BEGIN
    SELECT * INTO STRICT head FROM log_head;
    IF head.system_identifier = cluster AND head.timeline = line THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT head FROM log_head FOR UPDATE;
    IF head.system_identifier <> cluster OR head.timeline <> line THEN
        UPDATE log_head SET system_identifier = cluster, timeline = line;
        PERFORM log_new_era(format('the database moved from cluster %s, time line %s to cluster %s, time line %s',
                                   head.system_identifier, head.timeline, cluster, line));
    END IF;
END $$;
COMMENT ON FUNCTION log_check_era IS 'Starts a new era where the database is another one than that which gave the last positions. For each new connection that is to append.';

CREATE FUNCTION log_add_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    first timestamptz := month::timestamp AT TIME ZONE 'UTC';
    next timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('sluice: partitions'));
    IF to_regclass('sync_event_raw' || to_char(month, '_YYYY_MM')) IS NOT NULL THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['sync_event', 'sync_event_raw'] LOOP
        child := parent || to_char(month, '_YYYY_MM');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, first, next);
    END LOOP;
    UPDATE partition_change SET number = number + 1;
END $$;
COMMENT ON FUNCTION log_add_month IS 'Makes the partitions of the month that starts on this day, where they are missing. Outside of any append: created first and attached then, so that no writer waits for it.';

CREATE FUNCTION log_append(
    orgs text[], uuids uuid[], event_types text[], publisheds timestamptz[], messages text[], versions text[],
    severities text[], outcome_results text[], outcome_reasons text[],
    admin_ids text[], admin_alternate_ids text[], admin_display_names text[], admin_types text[],
    user_ids text[], user_alternate_ids text[], user_display_names text[],
    application_user_ids text[], application_user_alternate_ids text[], application_user_display_names text[],
    instance_ids text[], instance_labels text[], instance_display_names text[],
    application_names text[], debug_datas text[], raws text[], deliveries uuid[], way smallint,
    delivery_ids uuid[], delivery_orgs text[], delivery_event_ids text[], delivery_event_times timestamptz[],
    delivery_sources text[], delivery_headers text[]
) RETURNS TABLE (ordinal bigint, stored_at bigint, is_new boolean, named text, at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head bigint;
    moment timestamptz;
BEGIN
    SELECT position INTO STRICT head FROM log_head FOR UPDATE;
    moment := date_trunc('milliseconds', clock_timestamp());
    -- A statement of its own: its snapshot is taken after the lock, so it sees everything that was appended before.
    RETURN QUERY
    WITH input AS (
        SELECT i.* FROM unnest(orgs, uuids, event_types, publisheds, messages, versions, severities, outcome_results,
            outcome_reasons, admin_ids, admin_alternate_ids, admin_display_names, admin_types, user_ids,
            user_alternate_ids, user_display_names, application_user_ids, application_user_alternate_ids,
            application_user_display_names, instance_ids, instance_labels, instance_display_names, application_names,
            debug_datas, raws, deliveries) WITH ORDINALITY
        AS i (org, uuid, event_type, published, message, version, severity, outcome_result, outcome_reason,
            admin_id, admin_alternate_id, admin_display_name, admin_type, user_id, user_alternate_id,
            user_display_name, application_user_id, application_user_alternate_id, application_user_display_name,
            instance_id, instance_label, instance_display_name, application_name, debug_data, raw, delivery, ordinal)
    ), known AS MATERIALIZED (
        SELECT i.ordinal, a.position, i.delivery, a.org, a.uuid,
            (ARRAY[a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at])[way + 1] IS NULL AS by_new_way
        FROM unnest(orgs, uuids, deliveries) WITH ORDINALITY AS i (org, uuid, delivery, ordinal)
        JOIN arrival a ON a.uuid = i.uuid AND a.org = i.org
    ), fresh AS MATERIALIZED (
        SELECT head + row_number() OVER (ORDER BY i.ordinal) AS position,
            coalesce(c.application, i.application_name) AS known_name, i.*
        FROM input i
        LEFT JOIN application_instance c ON c.org = i.org AND c.instance_id = i.instance_id
        WHERE NOT EXISTS (SELECT FROM arrival a WHERE a.uuid = i.uuid AND a.org = i.org)
    ), events AS (
        INSERT INTO sync_event
        SELECT f.position, f.published, f.org, f.uuid, f.event_type, f.message, f.version, f.severity,
            f.outcome_result, f.outcome_reason, f.admin_id, f.admin_alternate_id, f.admin_display_name, f.admin_type,
            f.user_id, f.user_alternate_id, f.user_display_name, f.application_user_id,
            f.application_user_alternate_id, f.application_user_display_name, f.instance_id, f.instance_label,
            f.instance_display_name, f.known_name, f.debug_data, moment, way
        FROM fresh f
    ), details AS (
        INSERT INTO sync_event_raw SELECT f.position, f.published, f.raw FROM fresh f
    ), arrivals AS (
        INSERT INTO arrival
        SELECT f.org, f.uuid, f.position, f.published, CASE way WHEN 0 THEN moment END,
            CASE way WHEN 1 THEN moment END, CASE way WHEN 2 THEN moment END,
            CASE way WHEN 3 THEN moment END, f.delivery
        FROM fresh f
    ), again AS (
        UPDATE arrival a SET
            event_hook_at = CASE way WHEN 0 THEN moment ELSE a.event_hook_at END,
            system_log_at = CASE way WHEN 1 THEN moment ELSE a.system_log_at END,
            workflows_at = CASE way WHEN 2 THEN moment ELSE a.workflows_at END,
            import_at = CASE way WHEN 3 THEN moment ELSE a.import_at END,
            delivery = coalesce(a.delivery, k.delivery)
        FROM known k WHERE k.by_new_way AND a.uuid = k.uuid AND a.org = k.org
    ), envelopes AS (
        INSERT INTO delivery
        SELECT d.id, d.org, d.event_id, d.event_time, d.source, d.headers, moment
        FROM unnest(delivery_ids, delivery_orgs, delivery_event_ids, delivery_event_times, delivery_sources,
            delivery_headers) AS d (id, org, event_id, event_time, source, headers)
        WHERE d.id IN (SELECT f.delivery FROM fresh f) OR d.id IN (SELECT k.delivery FROM known k WHERE k.by_new_way)
        ON CONFLICT DO NOTHING
    ), instances AS (
        INSERT INTO application_instance AS c
            (org, instance_id, label, label_at, application, event_count, unnamed_count, last_event_at)
        SELECT f.org, f.instance_id,
            (array_agg(f.instance_label ORDER BY f.published DESC) FILTER (WHERE f.instance_label IS NOT NULL))[1],
            max(f.published) FILTER (WHERE f.instance_label IS NOT NULL),
            min(f.known_name), count(*), count(*) FILTER (WHERE f.known_name IS NULL), max(f.published)
        FROM fresh f WHERE f.instance_id <> '' GROUP BY f.org, f.instance_id ORDER BY f.org, f.instance_id
        ON CONFLICT (org, instance_id) DO UPDATE SET
            label = CASE WHEN excluded.label_at >= c.label_at OR c.label_at IS NULL
                    THEN coalesce(excluded.label, c.label) ELSE c.label END,
            label_at = greatest(excluded.label_at, c.label_at),
            application = coalesce(c.application, excluded.application),
            event_count = c.event_count + excluded.event_count,
            unnamed_count = c.unnamed_count + excluded.unnamed_count,
            last_event_at = greatest(c.last_event_at, excluded.last_event_at)
    ), named AS (
        SELECT f.org, f.known_name AS name, max(f.instance_display_name) AS display_name,
            count(*) FILTER (WHERE coalesce(f.instance_id, '') = '') AS event_count,
            max(f.published) FILTER (WHERE coalesce(f.instance_id, '') = '') AS last_event_at
        FROM fresh f WHERE f.known_name IS NOT NULL GROUP BY f.org, f.known_name ORDER BY f.org, f.known_name
    ), applications AS (
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        SELECT n.* FROM named n LEFT JOIN application o ON o.org = n.org AND o.name = n.name
        WHERE o.name IS NULL OR n.event_count > 0 OR (o.display_name IS NULL AND n.display_name IS NOT NULL)
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at)
    ), head_moved AS (
        UPDATE log_head SET position = head + (SELECT count(*) FROM fresh) WHERE EXISTS (SELECT FROM fresh)
    )
    SELECT f.ordinal, f.position, true, f.known_name, moment FROM fresh f
    UNION ALL
    SELECT k.ordinal, k.position, false, NULL, moment FROM known k;
END $$;
COMMENT ON FUNCTION log_append IS 'Appends events, none of them twice, and tells of each one where it is, whether that is new, which application name it has and when it was stored. All came by one way, and none is twice among them. Columns of events come as arrays, and so do those of their deliveries.';

-- The same for a lone event, as most deliveries bring: few and plain statements on one row take half the time of the
-- above.
CREATE FUNCTION log_append_one(
    the_org text, the_uuid uuid, event_type text, the_published timestamptz, message text, version text, severity text,
    outcome_result text, outcome_reason text,
    admin_id text, admin_alternate_id text, admin_display_name text, admin_type text,
    user_id text, user_alternate_id text, user_display_name text,
    application_user_id text, application_user_alternate_id text, application_user_display_name text,
    the_instance text, the_label text, the_display_name text,
    application_name text, debug_data text, raw text, the_delivery uuid, way smallint,
    delivery_event_id text, delivery_event_time timestamptz, delivery_source text, delivery_headers text
) RETURNS TABLE (ordinal bigint, stored_at bigint, is_new boolean, named text, at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    place bigint;
    moment timestamptz;
    known arrival;
    known_name text := application_name;
BEGIN
    -- Locks and moves the head in one; an event that is known moves it back.
    UPDATE log_head SET position = position + 1 RETURNING position INTO STRICT place;
    moment := date_trunc('milliseconds', clock_timestamp());
    INSERT INTO arrival VALUES (the_org, the_uuid, place, the_published, CASE way WHEN 0 THEN moment END,
        CASE way WHEN 1 THEN moment END, CASE way WHEN 2 THEN moment END, CASE way WHEN 3 THEN moment END, the_delivery)
    ON CONFLICT (uuid, org) DO NOTHING;
    IF NOT FOUND THEN
        UPDATE log_head SET position = place - 1;
        SELECT * INTO STRICT known FROM arrival a WHERE a.uuid = the_uuid AND a.org = the_org;
        IF (ARRAY[known.event_hook_at, known.system_log_at, known.workflows_at, known.import_at])[way + 1] IS NULL THEN
            UPDATE arrival a SET
                event_hook_at = CASE way WHEN 0 THEN moment ELSE a.event_hook_at END,
                system_log_at = CASE way WHEN 1 THEN moment ELSE a.system_log_at END,
                workflows_at = CASE way WHEN 2 THEN moment ELSE a.workflows_at END,
                import_at = CASE way WHEN 3 THEN moment ELSE a.import_at END,
                delivery = coalesce(a.delivery, the_delivery)
            WHERE a.uuid = the_uuid AND a.org = the_org;
            INSERT INTO delivery SELECT the_delivery, the_org, delivery_event_id, delivery_event_time, delivery_source,
                delivery_headers, moment WHERE the_delivery IS NOT NULL ON CONFLICT DO NOTHING;
        END IF;
        RETURN QUERY SELECT 1::bigint, known.position, false, NULL::text, moment;
        RETURN;
    END IF;
    IF the_instance <> '' THEN
        UPDATE application_instance c SET
            label = CASE WHEN the_label IS NULL OR the_published < c.label_at THEN c.label ELSE the_label END,
            label_at = CASE WHEN the_label IS NULL THEN c.label_at ELSE greatest(the_published, c.label_at) END,
            application = coalesce(c.application, application_name),
            event_count = c.event_count + 1,
            unnamed_count = c.unnamed_count + (coalesce(c.application, application_name) IS NULL)::int,
            last_event_at = greatest(c.last_event_at, the_published)
        WHERE c.org = the_org AND c.instance_id = the_instance
        RETURNING c.application INTO known_name;
        IF NOT FOUND THEN
            known_name := application_name;
            INSERT INTO application_instance
                (org, instance_id, label, label_at, application, event_count, unnamed_count, last_event_at)
            VALUES (the_org, the_instance, the_label, CASE WHEN the_label IS NOT NULL THEN the_published END,
                application_name, 1, (application_name IS NULL)::int, the_published);
        END IF;
    END IF;
    IF known_name IS NOT NULL AND (coalesce(the_instance, '') = '' OR NOT EXISTS (
        SELECT FROM application p WHERE p.org = the_org AND p.name = known_name
            AND (p.display_name IS NOT NULL OR the_display_name IS NULL)))
    THEN
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        VALUES (the_org, known_name, the_display_name, (coalesce(the_instance, '') = '')::int,
            CASE WHEN coalesce(the_instance, '') = '' THEN the_published END)
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at);
    END IF;
    WITH details AS (
        INSERT INTO sync_event_raw VALUES (place, the_published, raw)
    ), envelope AS (
        INSERT INTO delivery SELECT the_delivery, the_org, delivery_event_id, delivery_event_time, delivery_source,
            delivery_headers, moment WHERE the_delivery IS NOT NULL ON CONFLICT DO NOTHING
    )
    INSERT INTO sync_event VALUES (place, the_published, the_org, the_uuid, event_type, message, version, severity,
        outcome_result, outcome_reason, admin_id, admin_alternate_id, admin_display_name, admin_type, user_id,
        user_alternate_id, user_display_name, application_user_id, application_user_alternate_id,
        application_user_display_name, the_instance, the_label, the_display_name, known_name, debug_data, moment, way);
    RETURN QUERY SELECT 1::bigint, place, true, known_name, moment;
END $$;
COMMENT ON FUNCTION log_append_one IS 'Appends one event, as log_append does.';
