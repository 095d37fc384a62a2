-- What is known of a flight an hour before it leaves: its schedule, the weather, and how late the
-- flights of the last seven days with known labels were. Rates are smoothed: a group counts as if
-- it had 20 more flights, as late as all flights of the same days; so one late flight to a small
-- airport is not a rate of 1, and a destination without a known flight gets the overall rate.
WITH outcomes AS (
    SELECT events.carrier, events.origin, events.dest, labels.partition_date, labels.is_late, labels.arrival_delay
    FROM labels
    INNER JOIN events USING (row_id)
),

nights AS (
    SELECT DISTINCT
        partition_date AS night,
        -- The newest day whose labels are known, and the first of the seven.
        partition_date - CAST(getvariable('label_delay_days') AS INTEGER) AS last_known,
        last_known - 6 AS first_known
    FROM events
),

known AS (
    SELECT nights.night, outcomes.*
    FROM nights
    INNER JOIN outcomes ON outcomes.partition_date BETWEEN nights.first_known AND nights.last_known
),

overall AS (
    SELECT night, avg(is_late) AS late_rate, avg(arrival_delay) AS delay
    FROM known
    GROUP BY ALL
),

newest_day AS (
    SELECT night, avg(is_late) AS late_rate
    FROM known
    GROUP BY night, partition_date
    QUALIFY row_number() OVER (PARTITION BY night ORDER BY partition_date DESC) = 1
),

by_carrier AS (SELECT night, carrier, count(*) AS n, sum(is_late) AS n_late FROM known GROUP BY ALL),

by_origin AS (SELECT night, origin, count(*) AS n, sum(is_late) AS n_late FROM known GROUP BY ALL),

by_dest AS (SELECT night, dest, count(*) AS n, sum(is_late) AS n_late FROM known GROUP BY ALL),

by_route AS (
    -- A flight that did not arrive has no delay, and is not counted.
    SELECT night, origin, dest, count(arrival_delay) AS n, coalesce(sum(arrival_delay), 0) AS delay
    FROM known
    GROUP BY ALL
)

SELECT
    events.row_id,
    events.departure_minute,
    events.scheduled_minutes,
    events.distance,
    isodow(events.event_time) AS weekday, -- 1 is Monday
    events.temp,
    events.humid,
    events.wind_speed,
    events.precip,
    events.pressure,
    events.visib,
    (coalesce(by_carrier.n_late, 0) + 20 * overall.late_rate) / (coalesce(by_carrier.n, 0) + 20)
        AS carrier_late_rate_7d,
    (coalesce(by_origin.n_late, 0) + 20 * overall.late_rate) / (coalesce(by_origin.n, 0) + 20)
        AS origin_late_rate_7d,
    (coalesce(by_dest.n_late, 0) + 20 * overall.late_rate) / (coalesce(by_dest.n, 0) + 20)
        AS dest_late_rate_7d,
    (coalesce(by_route.delay, 0) + 20 * overall.delay) / (coalesce(by_route.n, 0) + 20) AS route_delay_7d,
    newest_day.late_rate AS late_rate_1d,
    events.carrier,
    events.origin,
    events.dest
FROM events
LEFT JOIN overall ON events.partition_date = overall.night
LEFT JOIN newest_day ON events.partition_date = newest_day.night
LEFT JOIN by_carrier ON events.partition_date = by_carrier.night AND events.carrier = by_carrier.carrier
LEFT JOIN by_origin ON events.partition_date = by_origin.night AND events.origin = by_origin.origin
LEFT JOIN by_dest ON events.partition_date = by_dest.night AND events.dest = by_dest.dest
LEFT JOIN by_route
    ON events.partition_date = by_route.night AND events.origin = by_route.origin AND events.dest = by_route.dest
