-- What a user did lately. NOW() is the label's time: each label row sees what was known then, and nothing later.
CREATE MATERIALIZED VIEW user_activity AS
SELECT
    user_id,
    COUNT(*) FILTER (WHERE paid_at > NOW() - INTERVAL '24 hours') AS payments_24h,
    SUM(amount) AS spent_7d,
    MAX(amount) AS largest_7d
FROM payments
WHERE paid_at > NOW() - INTERVAL '7 days' AND paid_at <= NOW()
GROUP BY user_id;
