-- Appends a lone event with the same result as log_append, but in one plain statement. Returns no row and changes
-- nothing in each of these cases: the log has the event already; its type, its instance or the instance's application
-- is not known; the event has a display name that the application lacks; its way has brought nothing of its org before;
-- or the log was restored and no era has begun since.
--
-- Names in braces stand for parameters; columns and values as in log_append.sql.
--
-- Its snapshot may be older than the head that it gets. What it asks the catalogue for never goes away again, so only
-- an event that somebody appended meanwhile is overlooked: the primary key of arrival refuses that. That of delivery
-- refuses one of which another event was appended before.
WITH head AS (
    UPDATE log_head SET position = position + 1
    FROM application_instance c
    WHERE singleton AND log_head.tableoid = log_head.home
        AND c.org = {org} AND c.instance_id = {instance_id} AND c.application IS NOT NULL
        AND ({instance_display_name} IS NULL OR EXISTS (
            SELECT FROM application p WHERE p.org = c.org AND p.name = c.application AND p.display_name IS NOT NULL
        ))
        AND EXISTS (SELECT FROM event_type t WHERE t.name = {event_type})
        AND EXISTS (SELECT FROM ingest_tally t WHERE t.org = {org} AND t.source = {way})
        AND NOT EXISTS (SELECT FROM arrival a WHERE a.uuid = {uuid} AND a.org = {org})
    RETURNING position, era, c.application, date_trunc('milliseconds', clock_timestamp()) AS moment
), arrivals AS (
    INSERT INTO arrival
    SELECT {org}, {uuid}, h.position, {published}, CASE {way} WHEN 0 THEN h.moment END,
        CASE {way} WHEN 1 THEN h.moment END, CASE {way} WHEN 2 THEN h.moment END, CASE {way} WHEN 3 THEN h.moment END,
        {delivery}, CASE {way} WHEN 4 THEN h.moment END
    FROM head h
), envelopes AS (
    INSERT INTO delivery
    SELECT {delivery}, {org}, {delivery_event_id}, {delivery_event_time}, {delivery_source}, {delivery_headers}, h.moment
    FROM head h WHERE {delivery} IS NOT NULL
), instances AS (
    UPDATE application_instance c SET
        label = CASE WHEN {instance_label} IS NULL OR {published} < c.label_at THEN c.label ELSE {instance_label} END,
        label_at = CASE WHEN {instance_label} IS NULL THEN c.label_at ELSE greatest({published}, c.label_at) END,
        event_count = c.event_count + 1,
        last_event_at = greatest(c.last_event_at, {published})
    FROM head h
    WHERE c.org = {org} AND c.instance_id = {instance_id}
), tallies AS (
    UPDATE ingest_tally t SET
        arrived = t.arrived + 1,
        duplicates = t.duplicates + {comings} - 1,
        last_arrival_at = greatest(t.last_arrival_at, h.moment)
    FROM head h
    WHERE t.org = {org} AND t.source = {way}
)
INSERT INTO sync_event (position, published, org, uuid, received_at, first_source, words, raw, application_name, {columns})
SELECT h.position, {published}, {org}, {uuid}, h.moment, {way}, {words}, {raw}, h.application, {values}
FROM head h
RETURNING position, application_name, received_at, (SELECT h.era FROM head h)
