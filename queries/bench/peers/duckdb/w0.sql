-- Running totals over all events, looked up moment both ends of the window.
WITH moments AS (
    SELECT event_timestamp AS moment, count(*) AS n, count(event_value) AS known, sum(event_value) AS total
    FROM events GROUP BY event_timestamp
), running AS (
    SELECT moment,
        sum(n) OVER upto AS n, sum(known) OVER upto AS known, sum(total) OVER upto AS total
    FROM moments WINDOW upto AS (ORDER BY moment)
)
SELECT l.label_id,
    coalesce(hi.n, 0) - coalesce(lo.n, 0) AS events_24h,
    CASE WHEN coalesce(hi.known, 0) > coalesce(lo.known, 0) THEN hi.total - coalesce(lo.total, 0) END AS total_24h
FROM labels l
ASOF LEFT JOIN running hi ON l.label_ts >= hi.moment
ASOF LEFT JOIN running lo ON l.label_ts - INTERVAL 1 DAY >= lo.moment
