import httpx
import pytest

from pipelines.errors import StackError
from pipelines.stack import airflow_api
from pipelines.stack.airflow_api import AirflowApi


def paths(server, method: str) -> list[str]:
    return [path for asked, path, _, _ in server.asked if asked == method]


def test_one_token_serves_many_requests(server, api):
    api.dags()
    api.import_errors()

    assert paths(server, "POST") == ["/auth/token"]


def test_a_token_that_ran_out_is_renewed(server, api):
    api.dags()
    server.token = "token-2"

    assert len(api.dags()) == 8
    assert paths(server, "POST") == ["/auth/token", "/auth/token"]


def test_a_wrong_password_is_one_sentence(server):
    with AirflowApi(server.url, "admin", "wrong") as api, pytest.raises(StackError, match="no user 'admin'"):
        api.dags()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_fails_for_a_moment_is_asked_again(server, api, status):
    server.scripted = [("/api/v2/dags", status, {"detail": "database is locked"})] * 2

    assert len(api.dags()) == 8


def test_a_login_that_fails_for_a_moment_is_tried_again(server, api):
    server.scripted = [("/auth/token", 500, {})]

    assert len(api.dags()) == 8


def test_a_server_that_goes_on_failing_is_an_error_with_its_last_words(server, api):
    server.scripted = [("/api/v2/dags", 500, {"detail": "database is locked"})] * 3

    with pytest.raises(StackError, match=r"failed 3 times at GET /dags \(500 .*database is locked"):
        api.dags()


def test_a_server_that_is_not_there_is_an_error(free_port):
    url = f"http://127.0.0.1:{free_port()}"

    with AirflowApi(url, "a", "b", attempts=2) as api, pytest.raises(StackError, match="failed 2 times"):
        api.dags()


def test_a_refusal_is_not_repeated(server, api):
    server.scripted = [("/api/v2/dags/x/dagRuns", 422, {"detail": "no such night"})]

    with pytest.raises(StackError, match=r"refused POST /dags/x/dagRuns \(422\): .*no such night"):
        api.trigger("x", "run-1")
    assert len(server.asked) == 2


def test_waiting_between_attempts_grows_and_is_bounded(server, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(airflow_api, "pause", waited.append)
    server.scripted = [("/api/v2/dags", 500, {})] * 9

    with AirflowApi(server.url, "admin", server.password, attempts=9) as api, pytest.raises(StackError):
        api.dags()

    assert waited == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_all_pages_are_read(server, api):
    for number in range(250):
        server.add_run("score_flights", "2013-07-04", run_id=f"run-{number}")

    assert [run["dag_run_id"] for run in api.dag_runs()] == [f"run-{number}" for number in range(250)]


def test_a_filter_is_handed_on(server, api):
    server.add_run("score_flights", "2013-07-04", state="running")
    server.add_run("score_flights", "2013-07-05")

    (found,) = api.dag_runs("score_flights", state=["queued", "running"])

    assert found["partition_key"] == "2013-07-04"


def test_stale_dags_are_left_out(server, api):
    stale = {"dags": [{"dag_id": "old", "is_stale": True}], "total_entries": 1}
    server.scripted = [("/api/v2/dags", 200, stale)]

    assert api.dags() == []


def test_a_repeated_trigger_starts_nothing_and_returns_the_run(server, api):
    first = api.trigger("ingest_flights", "by hand: 1", conf={"first": "2013-01-01"})
    again = api.trigger("ingest_flights", "by hand: 1")

    assert first == again
    assert len(server.runs) == 1


def test_a_run_with_signs_in_its_name_is_found(server, api):
    name = "backfill__2013-06-24T02:00:00+00:00__2013-06-24__a/b"
    server.add_run("ingest_flights", "2013-06-24", run_id=name)

    assert api.dag_run("ingest_flights", name)["dag_run_id"] == name


def test_a_backfill_covers_whole_days_and_says_whether_it_repeats(server, api):
    assert api.create_backfill("ingest_flights", "2013-06-24", "2013-06-25", is_repeat=True) == 0

    _, _, _, body = server.asked[-1]
    assert (body["from_date"], body["to_date"]) == ("2013-06-24T00:00:00Z", "2013-06-25T23:59:59Z")
    assert body["reprocess_behavior"] == "completed"


def test_a_second_backfill_waits_for_the_first_to_be_closed(server, api):
    first = api.create_backfill("ingest_flights", "2013-06-24", "2013-06-24", is_repeat=False)

    assert api.create_backfill("ingest_flights", "2013-06-25", "2013-06-25", is_repeat=False) is None
    assert [backfill["id"] for backfill in api.open_backfills("ingest_flights")] == [first]
    api.close_backfill(first)
    assert api.open_backfills("ingest_flights") == []
    assert api.create_backfill("ingest_flights", "2013-06-25", "2013-06-25", is_repeat=False) == 1


def test_the_end_of_a_log_is_what_the_task_wrote(server, api):
    run = server.add_run("train_flights", "2013-06-24")
    server.log = [
        {"event": "::group::Log message source details"},
        {"event": "/var/airflow/logs/attempt=1.log"},
        {"event": "::endgroup::"},
        {"event": "fitting"},
        {"event": "::group::Post"},
        "a plain line",
        {"event": "failed", "error_detail": [{"exc_type": "ValueError", "exc_value": "no rows"}]},
    ]
    (task,) = api.task_instances("train_flights", run["dag_run_id"])

    assert api.task_log(task) == ["fitting", "a plain line", "failed | ValueError: no rows"]
    assert api.task_log(task, n=1) == ["failed | ValueError: no rows"]


def test_a_task_without_a_log_has_no_lines(server, api):
    server.add_run("train_flights", "2013-06-24")
    server.scripted = [("/api/v2/dags/train_flights/dagRuns/", 404, {})]

    assert api.task_log(server.tasks[0]) == []


def test_what_waits_for_a_person_is_listed_and_answered(server, api):
    server.hitl = [{"task_instance": {"task_id": "approve"}}]

    assert api.hitl_details() == server.hitl
    api.answer("promote_flights", "run-1", "approve", "Approve")

    method, path, _, body = server.asked[-1]
    assert (method, path.rsplit("/", 3)[1:]) == ("PATCH", ["approve", "-1", "hitlDetails"])
    assert body["chosen_options"] == ["Approve"]


def test_health_is_told_part_by_part(server, api):
    server.health = {"scheduler": {"status": "healthy"}, "triggerer": None}

    assert api.health() == {"scheduler": "healthy", "triggerer": "None"}


def test_no_health_while_the_server_fails(server, api):
    server.scripted = [("/api/v2/monitor/health", 500, {})]

    with pytest.raises(httpx.HTTPStatusError):
        api.health()
