-- W1: the value of the user's latest event.
SELECT user_id, event_value AS latest_value
FROM (
    SELECT user_id, event_value, row_number() OVER (PARTITION BY user_id ORDER BY event_timestamp DESC) AS n
    FROM events
)
WHERE n = 1;
