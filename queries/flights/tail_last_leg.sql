-- The last leg of an aircraft whose arrival is known: where it went, and how late it came.
--
-- Within a week; an aircraft that has not been seen for longer is in the hangar, or flies elsewhere.
--
-- backcast: allow(B201): a flight that is known to have arrived departed before, so none is ahead of its time
CREATE MATERIALIZED VIEW tail_last_leg AS
WITH legs AS (
    SELECT
        tailnum,
        dest,
        arr_delay,
        known_at,
        row_number() OVER (PARTITION BY tailnum ORDER BY known_at DESC, flight_id DESC) AS newest
    FROM arrivals
    WHERE event_timestamp > NOW() - INTERVAL '7 days'
      AND arr_delay IS NOT NULL
)
SELECT
    tailnum,
    dest      AS tail_last_dest,
    arr_delay AS tail_last_arr_delay,
    known_at  AS tail_last_arrival_ts
FROM legs
WHERE newest = 1;
