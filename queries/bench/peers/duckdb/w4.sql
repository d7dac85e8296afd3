-- As w2; copies of an event are only looked for among what a label sees, which is half the work of doing so first.
-- Copies have one payload, so any of them will do.
WITH asked AS (
    SELECT label_id, user_id, label_ts, epoch_us(label_ts) // 86400000000 - unnest([0, 1]) AS day
    FROM labels
), seen AS (
    SELECT asked.label_id, e.event_id, any_value(e.event_value) AS event_value
    FROM asked JOIN (SELECT *, epoch_us(event_timestamp) // 86400000000 AS day FROM events) e USING (user_id, day)
    WHERE e.event_timestamp <= asked.label_ts AND e.event_timestamp > asked.label_ts - INTERVAL 24 HOUR
        AND e.ingested_at <= asked.label_ts
    GROUP BY asked.label_id, e.event_id
), counted AS (
    SELECT label_id, count(*) AS events_24h, sum(event_value) AS total_24h, max(event_value) AS largest_24h
    FROM seen GROUP BY label_id
)
SELECT label_id, coalesce(events_24h, 0) AS events_24h, total_24h, largest_24h
FROM labels LEFT JOIN counted USING (label_id)
