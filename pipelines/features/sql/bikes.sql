-- What is known of an hour at night: the calendar, the weather, and how many bikes were rented in
-- the same hour before. `_1d` is the newest day whose counts are known (yesterday, at a delay of a
-- day), `_7d` the same weekday of the week before, or of the newest known day if that is older.
WITH nights AS (
    SELECT DISTINCT
        partition_date AS night,
        partition_date - CAST(getvariable('label_delay_days') AS INTEGER) AS last_known,
        partition_date - greatest(7, CAST(getvariable('label_delay_days') AS INTEGER)) AS week_before
    FROM events
),

hourly AS (
    -- One value an hour, also where an hour was recorded twice.
    SELECT events.partition_date, events.hr, avg(labels.cnt) AS cnt
    FROM labels
    INNER JOIN events USING (row_id)
    GROUP BY ALL
),

known AS (
    SELECT
        nights.night,
        hourly.hr,
        max(hourly.cnt) FILTER (hourly.partition_date = nights.last_known) AS same_hour_1d,
        max(hourly.cnt) FILTER (hourly.partition_date = nights.week_before) AS same_hour_7d
    FROM nights
    INNER JOIN hourly ON hourly.partition_date IN (nights.last_known, nights.week_before)
    GROUP BY ALL
),

recent AS (
    SELECT nights.night, avg(hourly.cnt) AS mean_7d
    FROM nights
    INNER JOIN hourly ON hourly.partition_date BETWEEN nights.last_known - 6 AND nights.last_known
    GROUP BY ALL
)

SELECT
    events.row_id,
    events.hr,
    events.holiday,
    events.weekday,
    events.workingday,
    events.temp,
    events.hum,
    events.windspeed,
    known.same_hour_1d,
    known.same_hour_7d,
    recent.mean_7d,
    events.season,
    events.weathersit
FROM events
LEFT JOIN known ON events.partition_date = known.night AND events.hr = known.hr
LEFT JOIN recent ON events.partition_date = recent.night
