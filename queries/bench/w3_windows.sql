-- W3: four windows, five aggregates each.
SELECT
    user_id,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '24 hours') AS events_24h,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '24 hours') AS total_24h,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '24 hours') AS mean_24h,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '24 hours') AS smallest_24h,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '24 hours') AS largest_24h,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '7 days') AS events_7d,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '7 days') AS total_7d,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '7 days') AS mean_7d,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '7 days') AS smallest_7d,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '7 days') AS largest_7d,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '30 days') AS events_30d,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '30 days') AS total_30d,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '30 days') AS mean_30d,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '30 days') AS smallest_30d,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '30 days') AS largest_30d,
    count(*) AS events_90d,
    sum(event_value) AS total_90d,
    avg(event_value) AS mean_90d,
    min(event_value) AS smallest_90d,
    max(event_value) AS largest_90d
FROM events
WHERE event_timestamp > NOW() - INTERVAL '90 days'
GROUP BY user_id;
