-- The events of an org are a range of an index in the order of pages, in either direction. Each event of the newest org goes
-- to the index's end, which is the cheapest of all places to insert it.

CREATE INDEX sync_event_org ON sync_event (org, published, position);
