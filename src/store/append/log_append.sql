-- Appends events to the log, in one transaction. A gateway installs this function when it starts, under a name with the
-- digest of this text: gateways of several versions may append to one database, each by its own function.
--
-- Names in braces stand for what the table of columns (src/event/columns.rs) has: parameters for an array of each column
-- that is a text, such as messages text[]; columns, values and unnested for those columns, their values and the arrays of
-- their values, without the application's name, which the catalogue may know better.
--
-- It is one function so that nothing between taking the log's head and the commit waits for a client. A gateway that has
-- appended notifies the others (channel sluice_log) after its commit: within the transaction, that would cost every append
-- more than the rest of it, as listeners wake before the gateway has its answer.
--
-- Arrays are unnested in lists of columns: in FROM, PostgreSQL keeps a copy of each array's rows, and takes four times as
-- long.

CREATE FUNCTION {function}(
    orgs text[], uuids uuid[], publisheds timestamptz[], {parameters},
    words tsvector[], raws bytea[], deliveries uuid[], way smallint,
    delivery_ids uuid[], delivery_orgs text[], delivery_event_ids text[], delivery_event_times timestamptz[],
    delivery_sources text[], delivery_headers text[],
    comings bigint[], -- how many times each event came, for the tally
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
        FROM (
            SELECT unnest(orgs) AS org, unnest(uuids) AS uuid, unnest(instance_ids) AS instance_id,
                unnest(application_names) AS application_name, unnest(event_types) AS event_type,
                generate_subscripts(uuids, 1) AS ordinal
        ) i
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
                log_stream_at = CASE way WHEN 4 THEN moment ELSE a.log_stream_at END,
                delivery = coalesce(a.delivery, k.delivery)
            FROM unnest(orgs, uuids, known, deliveries) AS k (org, uuid, position, delivery)
            WHERE k.position IS NOT NULL AND a.uuid = k.uuid AND a.org = k.org
                AND (ARRAY[a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at, a.log_stream_at])[way + 1]
                    IS NULL
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
    -- These rows, too, are changed by one append at a time only, so that nobody waits for them.
    INSERT INTO ingest_tally AS t (org, source, arrived, duplicates, last_arrival_at, first_arrival_at)
    SELECT f.org, way, count(f.turn), sum(f.times)::bigint - count(f.turn), moment, moment
    FROM (SELECT unnest(orgs) AS org, unnest(turns) AS turn, unnest(comings) AS times) f
    GROUP BY f.org ORDER BY f.org
    ON CONFLICT (org, source) DO UPDATE SET
        arrived = t.arrived + excluded.arrived,
        duplicates = t.duplicates + excluded.duplicates,
        last_arrival_at = greatest(t.last_arrival_at, excluded.last_arrival_at);
    -- Each column is unnested where it is needed: a common table expression would copy every event.
    WITH arrivals AS (
        INSERT INTO arrival
        SELECT f.org, f.uuid, head + f.turn, f.published, CASE way WHEN 0 THEN moment END,
            CASE way WHEN 1 THEN moment END, CASE way WHEN 2 THEN moment END, CASE way WHEN 3 THEN moment END,
            f.delivery, CASE way WHEN 4 THEN moment END
        FROM (
            SELECT unnest(turns) AS turn, unnest(orgs) AS org, unnest(uuids) AS uuid, unnest(publisheds) AS published,
                unnest(deliveries) AS delivery
        ) f
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
                FROM (
                    SELECT unnest(turns) AS turn, unnest(orgs) AS org, unnest(instance_ids) AS instance_id,
                        unnest(instance_labels) AS label, unnest(publisheds) AS published, unnest(names) AS name
                ) i
                WHERE i.turn IS NOT NULL AND i.instance_id <> '' ORDER BY i.org, i.instance_id, i.published DESC
            ) o
            GROUP BY o.org, o.instance_id
        ) f
        WHERE c.org = f.org AND c.instance_id = f.instance_id
    )
    INSERT INTO sync_event (position, published, org, uuid, received_at, first_source, words, raw, application_name, {columns})
    SELECT head + f.turn, f.published, f.org, f.uuid, moment, way, f.words, f.raw, f.name, {values}
    FROM (
        SELECT unnest(turns) AS turn, unnest(publisheds) AS published, unnest(orgs) AS org, unnest(uuids) AS uuid,
            unnest(words) AS words, unnest(raws) AS raw, unnest(names) AS name, {unnested}
    ) f
    WHERE f.turn IS NOT NULL;
END $$;
COMMENT ON FUNCTION {function} IS 'Appends events, each of them once, and counts them for the way by which all of them came. An event must not stand twice among them. Columns of events come as arrays, and so do those of their deliveries. Returns the position of each event that the log had already, and for each of the others its turn, to be added to the head; also the name of each event''s application, and the time at which all this was stored. A unique violation says that another append has just stored one of the events: try again.';
