-- One row a scheduled flight, with the weather that was known two hours before it.
-- Every source column is text; cells that params.yaml types are passed on as they are, and cast there.
WITH schedule AS (
    SELECT
        *,
        TRY_CAST(time_hour AS TIMESTAMP) AS departure_hour, -- UTC, as is the weather's
        (TRY_CAST(sched_dep_time AS INTEGER) // 100) * 60 + TRY_CAST(sched_dep_time AS INTEGER) % 100
            AS departure_minute, -- from local hhmm
        (TRY_CAST(sched_arr_time AS INTEGER) // 100) * 60 + TRY_CAST(sched_arr_time AS INTEGER) % 100
            AS arrival_minute -- from hhmm, local at the destination
    FROM flights
),

observations AS (
    SELECT *, TRY_CAST(time_hour AS TIMESTAMP) AS observed_hour FROM weather
)

SELECT
    carrier,
    flight,
    schedule.origin,
    dest,
    -- The local time of the schedule: a flight belongs to the day that its ticket names.
    TRY(make_timestamp(CAST(schedule.year AS BIGINT), CAST(schedule.month AS BIGINT), CAST(schedule.day AS BIGINT), 0, 0, 0))
        + to_minutes(departure_minute) AS scheduled_at,
    departure_minute,
    -- Time zones are left in: a constant of the route, which the model learns with it.
    (arrival_minute - departure_minute + 1440) % 1440 AS scheduled_minutes,
    distance,
    temp,
    humid,
    wind_speed,
    wind_gust,
    precip,
    pressure,
    visib,
    -- A flight without an arrival delay was cancelled or diverted.
    CASE
        WHEN arr_delay IS NULL THEN 1
        ELSE CAST(TRY_CAST(arr_delay AS DOUBLE) >= 15 AS INTEGER)
    END AS is_late,
    arr_delay AS arrival_delay
FROM schedule
-- An observation of the hour H may be made as late as H:59. It is certain to lie an hour or more
-- before a departure in the hour F only if H <= F - 2. Older than six hours, it tells nothing.
ASOF LEFT JOIN observations
    ON schedule.origin = observations.origin
    AND schedule.departure_hour - INTERVAL 2 HOURS >= observations.observed_hour
