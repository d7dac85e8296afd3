-- How late one aircraft has been running.
--
-- An aircraft flies several legs a day and takes its delay along, so what it did lately is the best sign of what its
-- next flight will do. A leg counts once its arrival is known. A diverted flight never reports an arrival delay.
--
-- backcast: allow(B201): a flight that is known to have arrived departed before, so none is ahead of its time
CREATE MATERIALIZED VIEW tail_delays AS
SELECT
    tailnum,
    count(*)       FILTER (WHERE event_timestamp > NOW() - INTERVAL '3 days') AS tail_arrivals_3d,
    avg(arr_delay) FILTER (WHERE event_timestamp > NOW() - INTERVAL '3 days') AS tail_avg_arr_delay_3d,
    max(arr_delay) FILTER (WHERE event_timestamp > NOW() - INTERVAL '3 days') AS tail_max_arr_delay_3d,
    count(*)       AS tail_arrivals_7d,
    avg(arr_delay) AS tail_avg_arr_delay_7d,
    max(arr_delay) AS tail_max_arr_delay_7d
FROM arrivals
WHERE event_timestamp > NOW() - INTERVAL '7 days'
  AND arr_delay IS NOT NULL
GROUP BY tailnum;
