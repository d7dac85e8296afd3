-- Tiles: days that lie whole within a window come summed up by user and day; the label's own day and the day in which a window
-- starts are joined event by event. (A window of one day has no whole day in it.)
WITH e AS (
    SELECT user_id, epoch_us(event_timestamp) AS us, epoch_us(event_timestamp) // 86400000000 AS day, event_value AS x
    FROM events
), l AS (
    SELECT label_id, user_id, epoch_us(label_ts) AS us, epoch_us(label_ts) // 86400000000 AS day FROM labels
), tiles AS (
    SELECT user_id, day, count(*) AS n, count(x) AS known, sum(x) AS total, min(x) AS smallest, max(x) AS largest
    FROM e GROUP BY user_id, day
), whole AS (
    SELECT l.label_id,
        sum(t.n) FILTER (WHERE t.day > l.day - 7) AS n_7d,
        sum(t.known) FILTER (WHERE t.day > l.day - 7) AS known_7d,
        sum(t.total) FILTER (WHERE t.day > l.day - 7) AS total_7d,
        min(t.smallest) FILTER (WHERE t.day > l.day - 7) AS smallest_7d,
        max(t.largest) FILTER (WHERE t.day > l.day - 7) AS largest_7d,
        sum(t.n) FILTER (WHERE t.day > l.day - 30) AS n_30d,
        sum(t.known) FILTER (WHERE t.day > l.day - 30) AS known_30d,
        sum(t.total) FILTER (WHERE t.day > l.day - 30) AS total_30d,
        min(t.smallest) FILTER (WHERE t.day > l.day - 30) AS smallest_30d,
        max(t.largest) FILTER (WHERE t.day > l.day - 30) AS largest_30d,
        sum(t.n) FILTER (WHERE t.day > l.day - 90) AS n_90d,
        sum(t.known) FILTER (WHERE t.day > l.day - 90) AS known_90d,
        sum(t.total) FILTER (WHERE t.day > l.day - 90) AS total_90d,
        min(t.smallest) FILTER (WHERE t.day > l.day - 90) AS smallest_90d,
        max(t.largest) FILTER (WHERE t.day > l.day - 90) AS largest_90d
    FROM l JOIN tiles t ON t.user_id = l.user_id AND t.day < l.day AND t.day > l.day - 90
    GROUP BY l.label_id
), asked AS (
    SELECT label_id, user_id, us, back, day - back AS day FROM l, (VALUES (0), (1), (7), (30), (90)) AS days (back)
), partly AS (
    SELECT asked.label_id,
        count(*) FILTER (WHERE back IN (0, 1)) AS n_24h,
        count(e.x) FILTER (WHERE back IN (0, 1)) AS known_24h,
        sum(e.x) FILTER (WHERE back IN (0, 1)) AS total_24h,
        min(e.x) FILTER (WHERE back IN (0, 1)) AS smallest_24h,
        max(e.x) FILTER (WHERE back IN (0, 1)) AS largest_24h,
        count(*) FILTER (WHERE back IN (0, 7)) AS n_7d,
        count(e.x) FILTER (WHERE back IN (0, 7)) AS known_7d,
        sum(e.x) FILTER (WHERE back IN (0, 7)) AS total_7d,
        min(e.x) FILTER (WHERE back IN (0, 7)) AS smallest_7d,
        max(e.x) FILTER (WHERE back IN (0, 7)) AS largest_7d,
        count(*) FILTER (WHERE back IN (0, 30)) AS n_30d,
        count(e.x) FILTER (WHERE back IN (0, 30)) AS known_30d,
        sum(e.x) FILTER (WHERE back IN (0, 30)) AS total_30d,
        min(e.x) FILTER (WHERE back IN (0, 30)) AS smallest_30d,
        max(e.x) FILTER (WHERE back IN (0, 30)) AS largest_30d,
        count(*) FILTER (WHERE back IN (0, 90)) AS n_90d,
        count(e.x) FILTER (WHERE back IN (0, 90)) AS known_90d,
        sum(e.x) FILTER (WHERE back IN (0, 90)) AS total_90d,
        min(e.x) FILTER (WHERE back IN (0, 90)) AS smallest_90d,
        max(e.x) FILTER (WHERE back IN (0, 90)) AS largest_90d
    FROM asked JOIN e ON e.user_id = asked.user_id AND e.day = asked.day
    WHERE CASE WHEN back = 0 THEN e.us <= asked.us ELSE e.us > asked.us - back * 86400000000 END
    GROUP BY asked.label_id
), sums AS (
    SELECT labels.label_id,
        coalesce(p.n_24h, 0) AS n_24h, coalesce(p.known_24h, 0) AS known_24h, coalesce(p.total_24h, 0) AS total_24h, p.smallest_24h, p.largest_24h,
        coalesce(w.n_7d, 0) + coalesce(p.n_7d, 0) AS n_7d,
        coalesce(w.known_7d, 0) + coalesce(p.known_7d, 0) AS known_7d,
        coalesce(w.total_7d, 0) + coalesce(p.total_7d, 0) AS total_7d,
        least(w.smallest_7d, p.smallest_7d) AS smallest_7d, greatest(w.largest_7d, p.largest_7d) AS largest_7d,
        coalesce(w.n_30d, 0) + coalesce(p.n_30d, 0) AS n_30d,
        coalesce(w.known_30d, 0) + coalesce(p.known_30d, 0) AS known_30d,
        coalesce(w.total_30d, 0) + coalesce(p.total_30d, 0) AS total_30d,
        least(w.smallest_30d, p.smallest_30d) AS smallest_30d, greatest(w.largest_30d, p.largest_30d) AS largest_30d,
        coalesce(w.n_90d, 0) + coalesce(p.n_90d, 0) AS n_90d,
        coalesce(w.known_90d, 0) + coalesce(p.known_90d, 0) AS known_90d,
        coalesce(w.total_90d, 0) + coalesce(p.total_90d, 0) AS total_90d,
        least(w.smallest_90d, p.smallest_90d) AS smallest_90d, greatest(w.largest_90d, p.largest_90d) AS largest_90d
    FROM labels LEFT JOIN whole w USING (label_id) LEFT JOIN partly p USING (label_id)
)
SELECT label_id,
    CAST(n_24h AS BIGINT) AS events_24h, CASE WHEN known_24h > 0 THEN total_24h END AS total_24h,
    CASE WHEN known_24h > 0 THEN total_24h / known_24h END AS mean_24h, smallest_24h, largest_24h,
    CAST(n_7d AS BIGINT) AS events_7d, CASE WHEN known_7d > 0 THEN total_7d END AS total_7d,
    CASE WHEN known_7d > 0 THEN total_7d / known_7d END AS mean_7d, smallest_7d, largest_7d,
    CAST(n_30d AS BIGINT) AS events_30d, CASE WHEN known_30d > 0 THEN total_30d END AS total_30d,
    CASE WHEN known_30d > 0 THEN total_30d / known_30d END AS mean_30d, smallest_30d, largest_30d,
    CAST(n_90d AS BIGINT) AS events_90d, CASE WHEN known_90d > 0 THEN total_90d END AS total_90d,
    CASE WHEN known_90d > 0 THEN total_90d / known_90d END AS mean_90d, smallest_90d, largest_90d
FROM sums
