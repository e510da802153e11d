-- Appends events to the log, in one transaction. A gateway installs this function when it starts. The function's name has
-- the digest of this text, so that gateways of several versions can append to one database, each by its own function.
--
-- Names in braces are placeholders, which the table of columns (src/event/columns.rs) replaces: parameters by an array for
-- each text column, such as messages text[]; columns, values and unnested by the lists of these columns, of their values and
-- of their arrays, without the application's name, for which the catalogue's name has precedence.
--
-- A single function keeps the time between the lock of the log's head and the commit free of round trips to the client. A
-- gateway notifies the others (channel sluice_log) after its commit: within the transaction, the notification would cost more
-- than the rest of the append, since listeners wake before the gateway has its answer.
--
-- Lists of columns unnest the arrays: in FROM, PostgreSQL would copy the rows of each array, and take four times as long.

CREATE FUNCTION {function}(
    orgs text[], uuids uuid[], publisheds timestamptz[], {parameters},
    words tsvector[], raws bytea[], deliveries uuid[], way smallint,
    delivery_ids uuid[], delivery_orgs text[], delivery_event_ids text[], delivery_event_times timestamptz[],
    delivery_sources text[], delivery_headers text[],
    times_received bigint[], -- number of times that each event came, for the tally
    OUT known bigint[], -- positions of the events that the log had before, null for new events
    OUT turns bigint[], -- ordinals of the new events, from 1; null for known events
    OUT names text[],
    OUT head bigint,
    OUT moment timestamptz,
    OUT era bigint -- tag of the era of the head
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
            FROM (
                SELECT unnest(known) AS position, unnest(deliveries) AS delivery, generate_subscripts(known, 1) AS ordinal
            ) k
            ORDER BY k.ordinal
        ) f;
    END IF;
    IF fresh > 0 THEN
        INSERT INTO delivery
        SELECT d.*, date_trunc('milliseconds', clock_timestamp())
        FROM (
            SELECT unnest(delivery_ids) AS id, unnest(delivery_orgs), unnest(delivery_event_ids),
                unnest(delivery_event_times), unnest(delivery_sources), unnest(delivery_headers)
        ) d
        WHERE fresh = cardinality(uuids) OR d.id = ANY (brought)
        ON CONFLICT DO NOTHING;
    END IF;

    -- The lock of the head serializes appends: the time from here to the commit limits their rate.
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
    -- Each further statement takes its snapshot after the lock, so it sees all earlier appends.
    IF is_name_open THEN
        SELECT array_agg(e.name) INTO names
        FROM (
            SELECT coalesce(c.application, n.name) AS name
            FROM (
                SELECT unnest(orgs) AS org, unnest(instance_ids) AS instance_id, unnest(names) AS name,
                    generate_subscripts(orgs, 1) AS ordinal
            ) n
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
            FROM (
                SELECT unnest(orgs) AS org, unnest(uuids) AS uuid, unnest(known) AS position,
                    unnest(deliveries) AS delivery
            ) k
            WHERE k.position IS NOT NULL AND a.uuid = k.uuid AND a.org = k.org
                AND (ARRAY[a.event_hook_at, a.system_log_at, a.workflows_at, a.import_at, a.log_stream_at])[way + 1]
                    IS NULL
            RETURNING k.delivery
        )
        SELECT array_agg(g.delivery) INTO brought FROM again g;
        INSERT INTO delivery
        SELECT d.*, moment
        FROM (
            SELECT unnest(delivery_ids) AS id, unnest(delivery_orgs), unnest(delivery_event_ids),
                unnest(delivery_event_times), unnest(delivery_sources), unnest(delivery_headers)
        ) d
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
        FROM (SELECT unnest(turns) AS turn, unnest(orgs) AS org, unnest(instance_ids) AS instance_id) f
        WHERE f.turn IS NOT NULL AND f.instance_id <> '' ORDER BY f.org, f.instance_id
        ON CONFLICT DO NOTHING;
    END IF;
    -- An application of a known instance is in the table already, and needs an update only for a missing display name.
    IF is_application_new OR EXISTS (SELECT FROM application WHERE display_name IS NULL) THEN
        INSERT INTO application AS p (org, name, display_name, event_count, last_event_at)
        SELECT f.org, f.name, max(f.display_name),
            count(*) FILTER (WHERE f.instance_id IS NULL), max(f.published) FILTER (WHERE f.instance_id IS NULL)
        FROM (
            SELECT i.turn, i.org, i.name, nullif(i.instance_id, '') AS instance_id, i.display_name, i.published
            FROM (
                SELECT unnest(turns) AS turn, unnest(orgs) AS org, unnest(names) AS name,
                    unnest(instance_ids) AS instance_id, unnest(instance_display_names) AS display_name,
                    unnest(publisheds) AS published
            ) i
        ) f
        WHERE f.turn IS NOT NULL AND f.name IS NOT NULL GROUP BY f.org, f.name ORDER BY f.org, f.name
        ON CONFLICT (org, name) DO UPDATE SET
            display_name = coalesce(p.display_name, excluded.display_name),
            event_count = p.event_count + excluded.event_count,
            last_event_at = greatest(p.last_event_at, excluded.last_event_at);
    END IF;
    -- Under the lock of the head, no other append changes these rows. Only the short statement that counts duplicates of
    -- events that are not appended can delay this.
    INSERT INTO ingest_tally AS t (org, source, arrived, duplicates, last_arrival_at, first_arrival_at)
    SELECT f.org, way, count(f.turn), sum(f.times)::bigint - count(f.turn), moment, moment
    FROM (SELECT unnest(orgs) AS org, unnest(turns) AS turn, unnest(times_received) AS times) f
    GROUP BY f.org ORDER BY f.org
    ON CONFLICT (org, source) DO UPDATE SET
        arrived = t.arrived + excluded.arrived,
        duplicates = t.duplicates + excluded.duplicates,
        last_arrival_at = greatest(t.last_arrival_at, excluded.last_arrival_at);
    -- Each INSERT unnests its own columns: a common table expression would copy every event, its JSON included.
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
COMMENT ON FUNCTION {function} IS 'Appends events that came by one way in, each of them once, and counts them in the tally of that way. The events must be distinct. Columns of events and of their deliveries are arrays. Returns the position of each known event, and the ordinal of each new event, which plus the head is its position; also the names of the events'' applications, and the time of the append. After a unique violation, another append has just stored one of the events, and the caller must try again.';
