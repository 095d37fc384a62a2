"""The ledger, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest
from warm_processes import warm_processes

from pipelines.errors import ConflictError, EngineError
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChampionMove, PerformanceRecord, ScoringRecord, now_utc


def scoring(partition_key: str = "2013-07-04", version: str = "1", n_rows: int = 5) -> ScoringRecord:
    return ScoringRecord(
        dataset="flights",
        partition_key=partition_key,
        model_version=version,
        bundle_digest="b",
        validated_digest="v",
        features_digest="f",
        predictions_digest="p",
        n_rows=n_rows,
        device="cpu",
    )


def move(sequence: int, version: str) -> ChampionMove:
    return ChampionMove(
        dataset="flights",
        sequence=sequence,
        model_version=version,
        previous_version=None,
        action="promote",
        actor="test",
        reason="better",
        evidence_digest="e",
        partition_key="2013-07-04",
        moved_at=now_utc(),
    )


def test_the_folder_of_a_new_ledger_is_made(tmp_path):
    path = tmp_path / "not" / "there" / "ledger.db"
    Ledger(f"sqlite:///{path}").close()
    assert path.is_file()


def test_a_repeat_is_recorded_once_and_a_change_is_a_revision(ledger):
    assert ledger.record(scoring())
    assert not ledger.record(scoring())
    assert ledger.record(scoring(n_rows=6))
    assert ledger.record(scoring())
    assert ledger.latest(ScoringRecord, "flights").n_rows == 5


def test_what_was_put_out_of_force_is_news_when_it_comes_back(ledger):
    for version in ("1", "2", "1", "1"):
        ledger.record(scoring(version=version))
    assert ledger.latest(ScoringRecord, "flights", "2013-07-04").model_version == "1"
    assert [r.model_version for r in ledger.revisions(ScoringRecord, "flights")] == ["1", "2", "1"]


def test_latest_and_history_are_narrowed_as_asked(ledger):
    for day in ("2013-07-03", "2013-07-05", "2013-07-04"):
        ledger.record(scoring(day))
    ledger.record(scoring("2013-07-04", version="2"))
    keys = [r.partition_key for r in ledger.history(ScoringRecord, "flights", subject="1")]
    assert keys == ["2013-07-03", "2013-07-04", "2013-07-05"]
    assert len(ledger.history(ScoringRecord, "flights", first="2013-07-04", last="2013-07-04")) == 2
    assert ledger.latest(ScoringRecord, "flights", "2013-07-04").model_version == "2"
    assert ledger.latest(ScoringRecord, "flights", subject="9") is None
    assert ledger.latest(ScoringRecord, "bikes") is None
    assert ledger.latest(PerformanceRecord, "flights") is None


def test_the_newest_partition_is_by_date_not_by_age(ledger):
    for day in ("2013-07-05", "2013-07-03"):
        ledger.record(scoring(day))
    assert ledger.newest_partition(ScoringRecord, "flights") == "2013-07-05"
    assert ledger.newest_partition(ScoringRecord, "bikes") is None
    assert ledger.newest_partition(PerformanceRecord, "flights") is None


def test_history_gives_the_newest_revision_only(ledger):
    ledger.record(scoring(n_rows=1))
    ledger.record(scoring(n_rows=2))
    assert [r.n_rows for r in ledger.history(ScoringRecord, "flights")] == [2]


def test_the_champion_moves_only_from_where_it_was_read(ledger):
    assert ledger.champions.present("flights") is None
    ledger.champions.move(move(1, "1"))
    with pytest.raises(ConflictError, match="has moved to sequence 1"):
        ledger.champions.move(move(1, "2"))
    ledger.champions.move(move(2, "2"))
    assert ledger.champions.present("flights").model_version == "2"
    assert ledger.champions.present("flights").moved_at.tzinfo is not None
    assert [m.model_version for m in ledger.champions.history("flights")] == ["1", "2"]


def test_only_one_retraining_is_open_at_a_time(ledger):
    first = ledger.open_retraining("flights", "2013-07-04", status="requested", reason="drift")
    assert ledger.open_retraining("flights", "2013-07-04", status="requested", reason="again") == first
    with pytest.raises(ConflictError):
        ledger.open_retraining("flights", "2013-07-05", status="requested", reason="drift")
    ledger.open_retraining("flights", "2013-07-06", status="suppressed", reason="cooldown")
    assert ledger.retraining_in_flight("flights") == first
    ledger.update_retraining("flights", "2013-07-04", status="promoted", reason="won", model_version="2")
    assert ledger.retraining_in_flight("flights") is None
    assert ledger.retraining("flights", "2013-07-04").model_version == "2"
    ledger.open_retraining("flights", "2013-07-07", status="requested", reason="drift")
    ledger.update_retraining("flights", "2013-07-07", status="training")
    assert ledger.retraining("flights", "2013-07-07").reason == "drift"
    assert ledger.retraining("flights", "2013-08-01") is None


def test_a_database_that_fails_is_an_engine_error(tmp_path):
    with pytest.raises(EngineError):
        Ledger(f"sqlite:///{tmp_path}")


def _race(url: str, barrier, version: str, outcomes) -> None:
    ledger = Ledger(url)
    barrier.wait()
    ledger.record(scoring(version="same"))
    try:
        ledger.champions.move(move(1, version))
        outcomes.put("moved")
    except ConflictError:
        outcomes.put("refused")


def test_of_racing_promoters_exactly_one_moves_the_champion(url):
    context = warm_processes()
    barrier, outcomes = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(url, barrier, str(n), outcomes)) for n in range(4)]
    for racer in racers:
        racer.start()
    found = sorted(outcomes.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert found == ["moved", "refused", "refused", "refused"]
    ledger = Ledger(url)
    assert len(ledger.champions.history("flights")) == 1
    assert len(ledger.history(ScoringRecord, "flights", subject="same")) == 1
    ledger.close()


def test_revisions_are_all_there_oldest_first(ledger):
    for n_rows in (5, 6, 5):
        ledger.record(scoring(n_rows=n_rows))
    ledger.record(scoring("2013-07-05", n_rows=9))
    assert [r.n_rows for r in ledger.revisions(ScoringRecord, "flights", "2013-07-04")] == [5, 6, 5]
    assert [r.n_rows for r in ledger.revisions(ScoringRecord, "flights")] == [5, 6, 5, 9]
    assert ledger.revisions(PerformanceRecord, "flights") == []


def test_new_decisions_bear_the_run_and_a_repeat_by_another_run_is_no_news(url):
    first, second = Ledger(url, run_id="score_flights/a"), Ledger(url, run_id="score_flights/b")
    assert first.record(scoring())
    assert not second.record(scoring())
    assert second.record(scoring(version="2"))
    own = scoring(version="3").model_copy(update={"run_id": "its own"})
    assert first.record(own)
    recorded = first.revisions(ScoringRecord, "flights", "2013-07-04")
    assert [record.run_id for record in recorded] == ["score_flights/a", "score_flights/b", "its own"]
    first.close()
    second.close()
