-- Is an airport under pressure? Ratios over origin_traffic, for models that do not know how large an airport is.
CREATE MATERIALIZED VIEW origin_pressure AS
SELECT
    origin,
    -- The last hour against the mean hour of the day: 1 is an hour like any other.
    CAST(departures_1h * 24 AS DOUBLE) / NULLIF(departures_24h, 0)                         AS rush_ratio_1h,
    CAST(cancellations_3h AS DOUBLE)  / NULLIF(departures_3h + cancellations_3h, 0)        AS cancel_share_3h,
    CAST(cancellations_24h AS DOUBLE) / NULLIF(departures_24h + cancellations_24h, 0)      AS cancel_share_24h,
    CASE
        WHEN departures_3h + cancellations_3h = 0 THEN 'closed'
        WHEN cancellations_3h * 10 >= departures_3h THEN 'disrupted'
        WHEN avg_dep_delay_3h >= 30 THEN 'late'
        ELSE 'normal'
    END AS pressure_level
FROM origin_traffic;
