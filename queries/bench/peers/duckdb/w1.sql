-- ASOF JOIN is made for this.
SELECT labels.label_id, events.event_value AS latest_value
FROM labels ASOF LEFT JOIN events
    ON labels.user_id = events.user_id AND labels.label_ts >= events.event_timestamp
