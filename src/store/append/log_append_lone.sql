-- Appends a lone event with the same result as log_append, but in one plain statement. Returns no row and changes
-- nothing in each of these cases: the log has the event already; its type, its instance or the instance's application
-- is not known; the event has a display name that the application lacks; its way has brought nothing of its org before;
-- or the log was restored and no era has begun since.
--
-- Its snapshot may be older than the head that it gets. What it asks the catalogue for never goes away again, so only
-- an event that somebody appended meanwhile is overlooked: the primary key of arrival refuses that. That of delivery
-- refuses one of which another event was appended before.
WITH head AS (
    UPDATE log_head SET position = position + 1
    FROM application_instance c
    WHERE singleton AND log_head.tableoid = log_head.home AND c.org = $1 AND c.instance_id = $20 AND c.application IS NOT NULL
        AND ($22 IS NULL OR EXISTS (
            SELECT FROM application p WHERE p.org = c.org AND p.name = c.application AND p.display_name IS NOT NULL
        ))
        AND EXISTS (SELECT FROM event_type t WHERE t.name = $3)
        AND EXISTS (SELECT FROM ingest_tally t WHERE t.org = $1 AND t.source = $28)
        AND NOT EXISTS (SELECT FROM arrival a WHERE a.uuid = $2 AND a.org = $1)
    RETURNING position, era, c.application, date_trunc('milliseconds', clock_timestamp()) AS moment
), arrivals AS (
    INSERT INTO arrival
    SELECT $1, $2, h.position, $4, CASE $28 WHEN 0 THEN h.moment END, CASE $28 WHEN 1 THEN h.moment END,
        CASE $28 WHEN 2 THEN h.moment END, CASE $28 WHEN 3 THEN h.moment END, $27,
        CASE $28 WHEN 4 THEN h.moment END
    FROM head h
), envelopes AS (
    INSERT INTO delivery SELECT $27, $1, $29, $30, $31, $32, h.moment FROM head h WHERE $27 IS NOT NULL
), details AS (
    INSERT INTO sync_event_raw SELECT h.position, $4, $25 FROM head h
), instances AS (
    UPDATE application_instance c SET
        label = CASE WHEN $21 IS NULL OR $4 < c.label_at THEN c.label ELSE $21 END,
        label_at = CASE WHEN $21 IS NULL THEN c.label_at ELSE greatest($4, c.label_at) END,
        event_count = c.event_count + 1,
        last_event_at = greatest(c.last_event_at, $4)
    FROM head h
    WHERE c.org = $1 AND c.instance_id = $20
), tallies AS (
    UPDATE ingest_tally t SET
        arrived = t.arrived + 1,
        duplicates = t.duplicates + $33 - 1,
        last_arrival_at = greatest(t.last_arrival_at, h.moment)
    FROM head h
    WHERE t.org = $1 AND t.source = $28
)
INSERT INTO sync_event
SELECT h.position, $4, $1, $2, $3, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    h.application, $24, h.moment, $28, $26
FROM head h
RETURNING position, application_name, received_at, (SELECT h.era FROM head h)
