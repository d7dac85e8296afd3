-- W3 with four windows of a day: what the windows' lengths cost. They differ by a second, so that no two of them are one.
SELECT
    user_id,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86397 seconds') AS events_a,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86397 seconds') AS total_a,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86397 seconds') AS mean_a,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86397 seconds') AS smallest_a,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86397 seconds') AS largest_a,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86398 seconds') AS events_b,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86398 seconds') AS total_b,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86398 seconds') AS mean_b,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86398 seconds') AS smallest_b,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86398 seconds') AS largest_b,
    count(*) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86399 seconds') AS events_c,
    sum(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86399 seconds') AS total_c,
    avg(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86399 seconds') AS mean_c,
    min(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86399 seconds') AS smallest_c,
    max(event_value) FILTER (WHERE event_timestamp > NOW() - INTERVAL '86399 seconds') AS largest_c,
    count(*) AS events_d,
    sum(event_value) AS total_d,
    avg(event_value) AS mean_d,
    min(event_value) AS smallest_d,
    max(event_value) AS largest_d
FROM events
WHERE event_timestamp > NOW() - INTERVAL '24 hours'
GROUP BY user_id;
