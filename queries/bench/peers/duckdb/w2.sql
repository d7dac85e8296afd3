-- A window of a day touches two calendar days: hash join on user and day, then the exact bounds.
WITH asked AS (
    SELECT label_id, user_id, label_ts, epoch_us(label_ts) // 86400000000 - unnest([0, 1]) AS day
    FROM labels
), counted AS (
    SELECT asked.label_id, count(*) AS events_24h, sum(e.event_value) AS total_24h, max(e.event_value) AS largest_24h
    FROM asked JOIN (SELECT *, epoch_us(event_timestamp) // 86400000000 AS day FROM events) e USING (user_id, day)
    WHERE e.event_timestamp <= asked.label_ts AND e.event_timestamp > asked.label_ts - INTERVAL 24 HOUR
    GROUP BY asked.label_id
)
SELECT label_id, coalesce(events_24h, 0) AS events_24h, total_24h, largest_24h
FROM labels LEFT JOIN counted USING (label_id)
