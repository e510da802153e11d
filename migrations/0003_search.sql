-- Everything that people ask by is an index range in the order of pages, and words are found by their index.

ALTER TABLE sync_event ADD COLUMN words tsvector;
COMMENT ON COLUMN sync_event.words IS 'The words of its message, names and alternate ids, by which it is found, cut by sluice and not by the database; the weight is the place: A the admin, B the user, C the application user, D the rest. Null until a gateway has cut them, where the event was stored before they were kept.';

-- An order by lower case serves e-mail addresses, which compare without regard to case; in the collation "C" that is
-- ASCII's. A partial index spares what nobody asks by: the missing, and the success that most events are.
CREATE INDEX sync_event_user ON sync_event (user_id, published, position) WHERE user_id IS NOT NULL;
CREATE INDEX sync_event_user_alternate ON sync_event (lower(user_alternate_id), published, position)
    WHERE user_alternate_id IS NOT NULL;
CREATE INDEX sync_event_admin ON sync_event (admin_id, published, position) WHERE admin_id IS NOT NULL;
CREATE INDEX sync_event_admin_alternate ON sync_event (lower(admin_alternate_id), published, position)
    WHERE admin_alternate_id IS NOT NULL;
CREATE INDEX sync_event_application_user_alternate
    ON sync_event (lower(application_user_alternate_id), published, position)
    WHERE application_user_alternate_id IS NOT NULL;
CREATE INDEX sync_event_outcome ON sync_event (outcome_result, published, position) WHERE outcome_result <> 'SUCCESS';
CREATE INDEX sync_event_words ON sync_event USING gin (words);
CREATE INDEX sync_event_without_words ON sync_event (published, position) WHERE words IS NULL;

CREATE TABLE event_type (
    name text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE event_type IS 'Every event type that has come: a family of types is the few of them that are there.';
COMMENT ON COLUMN event_type.name IS 'Okta''s eventType.';
INSERT INTO event_type SELECT DISTINCT event_type FROM sync_event;

-- log_append, with the words of the events and their types.
DROP FUNCTION log_append;

CREATE FUNCTION log_append(
    orgs text[], uuids uuid[], event_types text[], publisheds timestamptz[], messages text[], versions text[],
    severities text[], outcome_results text[], outcome_reasons text[],
    admin_ids text[], admin_alternate_ids text[], admin_display_names text[], admin_types text[],
    user_ids text[], user_alternate_ids text[], user_display_names text[],
    application_user_ids text[], application_user_alternate_ids text[], application_user_display_names text[],
    instance_ids text[], instance_labels text[], instance_display_names text[],
    application_names text[], debug_datas text[], raws text[], words text[], deliveries uuid[], way smallint,
    delivery_ids uuid[], delivery_orgs text[], delivery_event_ids text[], delivery_event_times timestamptz[],
    delivery_sources text[], delivery_headers text[]
) RETURNS TABLE (ordinal bigint, stored_at bigint, is_new boolean, named text, at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head bigint;
    moment timestamptz;
    known bigint[]; -- the positions of events that are in the log already, null for the others
    places bigint[]; -- the positions that the others get
    fresh bigint;
    names text[];
    is_instance_new boolean;
    is_application_new boolean;
    is_type_new boolean;
    brought uuid[];
BEGIN
    SELECT position INTO STRICT head FROM log_head FOR UPDATE;
    moment := date_trunc('milliseconds', clock_timestamp());
    -- A statement of its own: its snapshot is taken after the lock, so it sees everything that was appended before.
    SELECT array_agg(e.position ORDER BY e.ordinal),
        array_agg(CASE WHEN e.position IS NULL THEN head + e.fresh END ORDER BY e.ordinal),
        max(e.fresh), array_agg(e.name ORDER BY e.ordinal),
        bool_or(e.is_instance_new), bool_or(e.is_application_new), bool_or(e.is_type_new)
    INTO known, places, fresh, names, is_instance_new, is_application_new, is_type_new
    FROM (
        SELECT i.ordinal, a.position,
            count(*) FILTER (WHERE a.position IS NULL) OVER (ORDER BY i.ordinal ROWS UNBOUNDED PRECEDING) AS fresh,
            coalesce(c.application, i.application_name) AS name,
            i.instance_id <> '' AND c.instance_id IS NULL AS is_instance_new,
            c.application IS NULL AND i.application_name IS NOT NULL AS is_application_new,
            t.name IS NULL AS is_type_new
        FROM unnest(orgs, uuids, instance_ids, application_names, event_types) WITH ORDINALITY
            AS i (org, uuid, instance_id, application_name, event_type, ordinal)
        LEFT JOIN arrival a ON a.uuid = i.uuid AND a.org = i.org
        LEFT JOIN application_instance c ON c.org = i.org AND c.instance_id = i.instance_id
        LEFT JOIN event_type t ON t.name = i.event_type
    ) e;
    SELECT array_agg(d.id) INTO brought
    FROM unnest(places, deliveries) AS d (place, id) WHERE d.place IS NOT NULL AND d.id IS NOT NULL;
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
        SELECT brought || array_agg(g.delivery) INTO brought FROM again g;
    END IF;
    IF is_type_new THEN
        INSERT INTO event_type SELECT DISTINCT t.name FROM unnest(event_types) AS t (name) ORDER BY t.name
        ON CONFLICT DO NOTHING;
    END IF;
    IF is_instance_new THEN
        INSERT INTO application_instance (org, instance_id)
        SELECT DISTINCT f.org, f.instance_id
        FROM unnest(places, orgs, instance_ids) AS f (place, org, instance_id)
        WHERE f.place IS NOT NULL AND f.instance_id <> '' ORDER BY f.org, f.instance_id
        ON CONFLICT DO NOTHING;
    END IF;
    -- An instance whose application is known has told of it before.
    IF is_application_new OR EXISTS (SELECT FROM application WHERE display_name IS NULL) THEN
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        SELECT f.org, f.name, max(f.display_name),
            count(*) FILTER (WHERE f.instance_id IS NULL), max(f.published) FILTER (WHERE f.instance_id IS NULL)
        FROM (
            SELECT i.place, i.org, i.name, nullif(i.instance_id, '') AS instance_id, i.display_name, i.published
            FROM unnest(places, orgs, names, instance_ids, instance_display_names, publisheds)
                AS i (place, org, name, instance_id, display_name, published)
        ) f
        WHERE f.place IS NOT NULL AND f.name IS NOT NULL GROUP BY f.org, f.name ORDER BY f.org, f.name
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at);
    END IF;
    UPDATE log_head SET position = head + fresh WHERE fresh > 0;
    -- Each column is unnested where it is needed: a common table expression would copy every event, raw included.
    WITH details AS (
        INSERT INTO sync_event_raw
        SELECT f.* FROM unnest(places, publisheds, raws) AS f (position, published, raw) WHERE f.position IS NOT NULL
    ), arrivals AS (
        INSERT INTO arrival
        SELECT f.org, f.uuid, f.position, f.published, CASE way WHEN 0 THEN moment END,
            CASE way WHEN 1 THEN moment END, CASE way WHEN 2 THEN moment END, CASE way WHEN 3 THEN moment END,
            f.delivery
        FROM unnest(places, orgs, uuids, publisheds, deliveries) AS f (position, org, uuid, published, delivery)
        WHERE f.position IS NOT NULL
    ), envelopes AS (
        INSERT INTO delivery
        SELECT d.*, moment
        FROM unnest(delivery_ids, delivery_orgs, delivery_event_ids, delivery_event_times, delivery_sources,
            delivery_headers) AS d (id, org, event_id, event_time, source, headers)
        WHERE d.id = ANY (brought)
        ON CONFLICT DO NOTHING
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
                FROM unnest(places, orgs, instance_ids, instance_labels, publisheds, names)
                    AS i (place, org, instance_id, label, published, name)
                WHERE i.place IS NOT NULL AND i.instance_id <> '' ORDER BY i.org, i.instance_id, i.published DESC
            ) o
            GROUP BY o.org, o.instance_id
        ) f
        WHERE c.org = f.org AND c.instance_id = f.instance_id
    )
    INSERT INTO sync_event
    SELECT f.position, f.published, f.org, f.uuid, f.event_type, f.message, f.version, f.severity, f.outcome_result,
        f.outcome_reason, f.admin_id, f.admin_alternate_id, f.admin_display_name, f.admin_type, f.user_id,
        f.user_alternate_id, f.user_display_name, f.application_user_id, f.application_user_alternate_id,
        f.application_user_display_name, f.instance_id, f.instance_label, f.instance_display_name, f.name,
        f.debug_data, moment, way, f.words::tsvector
    FROM unnest(places, publisheds, orgs, uuids, event_types, messages, versions, severities, outcome_results,
        outcome_reasons, admin_ids, admin_alternate_ids, admin_display_names, admin_types, user_ids,
        user_alternate_ids, user_display_names, application_user_ids, application_user_alternate_ids,
        application_user_display_names, instance_ids, instance_labels, instance_display_names, names, debug_datas,
        words)
        AS f (position, published, org, uuid, event_type, message, version, severity, outcome_result,
            outcome_reason, admin_id, admin_alternate_id, admin_display_name, admin_type, user_id,
            user_alternate_id, user_display_name, application_user_id, application_user_alternate_id,
            application_user_display_name, instance_id, instance_label, instance_display_name, name, debug_data, words)
    WHERE f.position IS NOT NULL;
    RETURN QUERY
    SELECT f.ordinal, coalesce(f.place, f.known), f.known IS NULL, CASE WHEN f.known IS NULL THEN f.name END, moment
    FROM unnest(places, known, names) WITH ORDINALITY AS f (place, known, name, ordinal);
END $$;
COMMENT ON FUNCTION log_append IS 'Appends events, none of them twice, and tells of each one where it is, whether that is new, which application name it has and when it was stored. All came by one way, and none is twice among them. Columns of events come as arrays, and so do those of their deliveries.';
