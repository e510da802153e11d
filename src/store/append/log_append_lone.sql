-- Appends one event with the same result as log_append, but by one plain statement. Returns no row and changes nothing in
-- each of these cases: the log has the event; the catalogue lacks the event's type, its instance or the instance's
-- application; the event has a display name that the application lacks; the tally has no row for the event's org and way
-- in; or the log was restored and no era has begun since.
--
-- Names in braces are placeholders for parameters; columns and values are those of log_append.sql.
--
-- The statement's snapshot may be older than the head that it locks. Rows of the catalogue are never deleted, so the only
-- thing that the snapshot can miss is a concurrent append: of the same event, which the primary key of arrival then
-- refuses, or of another event of the same delivery, which the primary key of delivery then refuses.
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
        duplicates = t.duplicates + {times_received} - 1,
        last_arrival_at = greatest(t.last_arrival_at, h.moment)
    FROM head h
    WHERE t.org = {org} AND t.source = {way}
)
INSERT INTO sync_event (position, published, org, uuid, received_at, first_source, words, raw, application_name, {columns})
SELECT h.position, {published}, {org}, {uuid}, h.moment, {way}, {words}, {raw}, h.application, {values}
FROM head h
RETURNING position, application_name, received_at, (SELECT h.era FROM head h)
