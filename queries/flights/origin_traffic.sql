-- What an airport has been doing: departures, cancellations and the delay of departures.
--
-- A cancelled flight is an event at its scheduled time, and never has a departure delay.
CREATE MATERIALIZED VIEW origin_traffic AS
SELECT
    origin,
    count(*) FILTER (WHERE NOT cancelled AND event_timestamp > NOW() - INTERVAL '1 hour')  AS departures_1h,
    count(*) FILTER (WHERE NOT cancelled AND event_timestamp > NOW() - INTERVAL '3 hours') AS departures_3h,
    count(*) FILTER (WHERE NOT cancelled)                                                  AS departures_24h,
    count(*) FILTER (WHERE cancelled AND event_timestamp > NOW() - INTERVAL '1 hour')      AS cancellations_1h,
    count(*) FILTER (WHERE cancelled AND event_timestamp > NOW() - INTERVAL '3 hours')     AS cancellations_3h,
    count(*) FILTER (WHERE cancelled)                                                      AS cancellations_24h,
    avg(dep_delay) FILTER (WHERE event_timestamp > NOW() - INTERVAL '3 hours')             AS avg_dep_delay_3h
FROM departures
WHERE event_timestamp > NOW() - INTERVAL '24 hours'
GROUP BY origin;
