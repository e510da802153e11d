-- Append is one function, so that nothing between taking the log's head and the commit waits for a client.

-- The head, locked, in the era of this database. Each statement in the function has a snapshot of its own, so what is
-- read after the lock sees everything that was committed before it.
CREATE FUNCTION log_lock() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
    cluster text := (SELECT system_identifier::text FROM pg_control_system());
    line text := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
BEGIN
    SELECT * INTO STRICT head FROM log_head FOR UPDATE;
    IF head.system_identifier = cluster AND head.timeline = line THEN
        RETURN head.position;
    END IF;
    UPDATE log_head SET system_identifier = cluster, timeline = line;
    RETURN log_new_era(format('the database moved from cluster %s, time line %s to cluster %s, time line %s',
                              head.system_identifier, head.timeline, cluster, line));
END $$;
COMMENT ON FUNCTION log_lock IS 'Takes the log''s head for an append and gives its position; starts a new era where the database is another one than before.';

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

-- Creates the partitions for one month before they are attached, so that no writer waits for it.
CREATE FUNCTION log_add_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child text;
    first timestamptz := month::timestamp AT TIME ZONE 'UTC';
    next timestamptz := (month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('sluice: partitions'));
    FOREACH parent IN ARRAY ARRAY['sync_event', 'sync_event_raw'] LOOP
        child := parent || to_char(month, '_YYYY_MM');
        IF to_regclass(child) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child, first, next);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION log_add_month IS 'Makes the partitions of the month that starts on this day, where they are missing.';

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
) RETURNS TABLE (ordinal bigint, stored_at bigint, is_new boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head bigint := log_lock();
    moment timestamptz := date_trunc('milliseconds', clock_timestamp());
    moved bigint;
BEGIN
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
    ), applications AS (
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        SELECT f.org, f.known_name, max(f.instance_display_name),
            count(*) FILTER (WHERE coalesce(f.instance_id, '') = ''),
            max(f.published) FILTER (WHERE coalesce(f.instance_id, '') = '')
        FROM fresh f WHERE f.known_name IS NOT NULL GROUP BY f.org, f.known_name ORDER BY f.org, f.known_name
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at)
        WHERE excluded.event_count > 0 OR (p.display_name IS NULL AND excluded.display_name IS NOT NULL)
    ), head_moved AS (
        UPDATE log_head SET position = head + (SELECT count(*) FROM fresh) WHERE EXISTS (SELECT FROM fresh)
    )
    SELECT f.ordinal, f.position, true FROM fresh f
    UNION ALL
    SELECT k.ordinal, k.position, false FROM known k;

    SELECT position INTO STRICT moved FROM log_head;
    IF moved > head THEN
        PERFORM pg_notify('sluice_log', moved::text);
    END IF;
END $$;
COMMENT ON FUNCTION log_append IS 'Appends events, none of them twice, and tells of each one where it is and whether that is new. All came by one way, and none is twice among them. Columns of events come as arrays, and so do those of their deliveries.';
