-- The weather that the departures of the last 24 hours met, at their airport and in their hour.
--
-- An hour counts as often as flights departed in it. A departure in the last 24 hours fell in an hour that began less
-- than 25 hours ago, so the bound on the weather takes no row away: it only lets old weather be dropped.
CREATE MATERIALIZED VIEW origin_weather AS
SELECT
    d.origin,
    count(*) FILTER (WHERE w.wind_speed >= 15) AS windy_departures_24h,
    avg(w.wind_speed)                          AS avg_wind_speed_24h,
    max(w.precip)                              AS max_precip_24h,
    min(w.visib)                               AS min_visibility_24h
FROM departures AS d
JOIN weather AS w
  ON w.origin = d.origin
 AND w.event_timestamp = date_trunc('hour', d.event_timestamp)
WHERE d.event_timestamp > NOW() - INTERVAL '24 hours'
  AND w.event_timestamp > NOW() - INTERVAL '25 hours'
  AND NOT d.cancelled
GROUP BY d.origin;
