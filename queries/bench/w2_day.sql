-- W2: one window. W4 runs the same text over a source with arrival times and redelivery.
SELECT
    user_id,
    count(*)         AS events_24h,
    sum(event_value) AS total_24h,
    max(event_value) AS largest_24h
FROM events
WHERE event_timestamp > NOW() - INTERVAL '24 hours'
GROUP BY user_id;
