-- One row a scheduled flight, with the weather at its origin as it was known an hour before.
-- All columns of the source are text; the cells that params.yaml types pass as they are, and are cast there.
WITH schedule AS (
    SELECT
        *,
        TRY_CAST(time_hour AS TIMESTAMP) AS departure_hour, -- UTC, as the weather's
        (TRY_CAST(sched_dep_time AS INTEGER) // 100) * 60 + TRY_CAST(sched_dep_time AS INTEGER) % 100
            AS departure_minute, -- of hhmm, local
        (TRY_CAST(sched_arr_time AS INTEGER) // 100) * 60 + TRY_CAST(sched_arr_time AS INTEGER) % 100
            AS arrival_minute -- of hhmm, local at the destination
    FROM flights
),

-- The newest observation for each hour of departure. One that is labelled with the hour H may have
-- been made as late as H:59; it is sure to lie an hour before every departure of the hour F only
-- if H <= F - 2. One of more than six hours ago tells nothing any more.
known_weather AS (
    SELECT
        origin,
        TRY_CAST(time_hour AS TIMESTAMP) + to_hours(age) AS departure_hour,
        arg_min(weather, age) AS newest
    FROM weather, unnest([2, 3, 4, 5, 6]) AS ages (age)
    GROUP BY ALL
)

SELECT
    carrier,
    flight,
    schedule.origin,
    dest,
    -- The local time of the schedule: a flight belongs to the day that its ticket names.
    make_timestamp(
        TRY_CAST(year AS BIGINT), TRY_CAST(month AS BIGINT), TRY_CAST(day AS BIGINT), 0, 0, 0
    ) + to_minutes(departure_minute) AS scheduled_at,
    departure_minute,
    -- The zones of origin and destination stay in: a constant of the route.
    (arrival_minute - departure_minute + 1440) % 1440 AS scheduled_minutes,
    distance,
    newest.temp,
    newest.humid,
    newest.wind_speed,
    newest.wind_gust,
    newest.precip,
    newest.pressure,
    newest.visib,
    -- A flight without an arrival delay was cancelled or diverted.
    CASE
        WHEN arr_delay IS NULL THEN 1
        ELSE CAST(TRY_CAST(arr_delay AS DOUBLE) >= 15 AS INTEGER)
    END AS is_late,
    arr_delay AS arrival_delay,
    -- Where the row comes from, and what a record was that is no row.
    schedule.holdfast_file,
    schedule.holdfast_line,
    schedule.holdfast_reject
FROM schedule
LEFT JOIN known_weather USING (origin, departure_hour)
