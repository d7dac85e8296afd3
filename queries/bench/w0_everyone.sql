-- W0: all events of the last day, whoever's: one row for every label.
SELECT
    count(*)         AS events_24h,
    sum(event_value) AS total_24h
FROM events
WHERE event_timestamp > NOW() - INTERVAL '24 hours';
