"""Races of promoters, each a process of its own, some of which are killed: who is champion afterwards?

A race is about one candidate with fresh evidence. Everybody promotes it from one moment on; of those who
are killed at a write, or at any moment, the promotion is done once more. What must hold is checked after
each race, and the moments between races tell who was champion then.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from fuses import Fuse, light
from mlflow import MlflowClient
from toy_world import DATASET, NIGHT
from warm_processes import warm_processes

from pipelines.config import Params, Settings
from pipelines.records import (
    ChampionMove,
    ChampionNote,
    GateRecord,
    GateResult,
    TrainingRecord,
    now_utc,
    shift_partition,
)
from pipelines.registry.champion import head_of
from pipelines.runtime import Runtime
from pipelines.steps.champions import verify_champion
from pipelines.steps.promote import promote

_SECONDS = 120
_HEAD_START_SECONDS = 0.05
# A promotion writes the move, the alias, the head; a look further finds that there is no more.
_N_WRITES = 4


class Job(NamedTuple):
    """A promotion to be tried at a moment of the monotonic clock, perhaps with a fuse."""

    model_version: str
    at: float
    fuse: tuple[int, str] | None = None


@dataclass
class Tally:
    """What races came to: each champion with the span in which it certainly was one."""

    n_races: int = 0
    n_kills: int = 0
    reigns: list[tuple[str, str, datetime, datetime]] = field(default_factory=list)


def on_ledger(world: Runtime, url: str) -> Runtime:
    """Return the same world with another ledger, which is empty."""
    return Runtime(settings=world.settings.model_copy(update={"ledger_url": url}), params=world.params)


def candidates(world: Runtime, n: int) -> list[str]:
    """Register ``n`` candidates of the same bytes; return their versions."""
    trained = world.registry.training_of(DATASET, "1")
    client = MlflowClient(world.settings.mlflow_uri, registry_uri=world.settings.mlflow_uri)
    source = f"runs:/{trained.mlflow_run_id}/model"
    found = [
        str(client.create_model_version(DATASET, source=source, run_id=trained.mlflow_run_id).version)
        for _ in range(n)
    ]
    for version in found:
        world.ledger.record(
            TrainingRecord(
                dataset=DATASET,
                partition_key=trained.partition_key,
                model_version=version,
                trained=trained,
            )
        )
    return found


@contextmanager
def promoters(world: Runtime, n: int) -> Iterator[Crew]:
    """Keep ``n`` processes that promote; those that die are replaced."""
    crew = Crew(world, warm_processes(), n)
    try:
        yield crew
    finally:
        crew.dismiss()


def race(world: Runtime, crew: Crew, versions: Sequence[str], *, seed: int) -> Tally:
    """Race for every candidate in turn; check after each what must hold."""
    tally, chance = Tally(), random.Random(seed)
    for version in versions:
        evidence = _evidence(world, version)
        world.ledger.record(evidence)
        tally.n_kills += crew.race(version, chance)
        tally.n_races += 1
        champion = check(world, evidence)
        since = now_utc()
        # Between two races nobody moves the champion: any moment of this span has one answer.
        time.sleep(0.002)
        tally.reigns.append((version, champion.partition_key, since, now_utc()))
    return tally


def check(world: Runtime, evidence: GateRecord) -> ChampionMove:
    """Hold the world to what must be so after a race: one move, one chain, one answer everywhere."""
    moves = world.ledger.champions.history(DATASET)
    by_it = [move for move in moves if move.evidence_digest == evidence.digest]
    assert len(by_it) == 1, f"v{evidence.model_version} was promoted {len(by_it)} times"
    assert moves[-1] == by_it[0]
    assert [move.sequence for move in moves] == list(range(1, len(moves) + 1))
    report = verify_champion(DATASET, runtime=world)
    assert report.is_intact, report.breaks
    assert (report.alias, report.anchor) == (evidence.model_version, head_of(moves[-1]))
    assert world.ledger.revisions(ChampionNote, DATASET) == []
    return moves[-1]


def check_times(world: Runtime, tally: Tally, n: int, *, seed: int) -> None:
    """Ask who was champion at ``n`` moments and nights of which the answer is known."""
    chance, champions = random.Random(seed), world.ledger.champions
    for _ in range(n):
        version, night, since, until = chance.choice(tally.reigns)
        moment = datetime.fromtimestamp(chance.uniform(since.timestamp(), until.timestamp()), UTC)
        by_moment, by_night = champions.at(DATASET, moment=moment), champions.at(DATASET, night=night)
        assert by_moment is not None
        assert by_night is not None
        assert (by_moment.model_version, by_night.model_version) == (version, version)


class Crew:
    """The processes that promote."""

    def __init__(self, world: Runtime, context: Any, n: int) -> None:
        self._world, self._context = world, context
        self._workers = [self._hire() for _ in range(n)]

    def race(self, version: str, chance: random.Random) -> int:
        """Have everybody promote a version at once; return how many were killed on the way."""
        at = time.monotonic() + _HEAD_START_SECONDS
        doomed, hunted = chance.sample(range(len(self._workers)), 2)
        fuse = (chance.randint(1, _N_WRITES), chance.choice(["before", "after"]))
        for place, (_, jobs) in enumerate(self._workers):
            jobs.send(Job(version, at, fuse if place == doomed else None))
        if chance.random() < 0.5:
            time.sleep(max(0.0, at - time.monotonic()) + chance.expovariate(1 / 0.05))
            os.kill(self._workers[hunted][0].pid, signal.SIGKILL)
        n_killed = 0
        for place in range(len(self._workers)):
            while not self._answer(place):
                n_killed += 1
                self._workers[place] = self._hire()
                self._workers[place][1].send(Job(version, time.monotonic()))
        return n_killed

    def dismiss(self) -> None:
        """End every process."""
        for process, jobs in self._workers:
            jobs.close()
            process.join(_SECONDS)

    def _answer(self, place: int) -> bool:
        """Take a promoter's answer; False if it has been killed."""
        process, jobs = self._workers[place]
        assert wait([jobs], _SECONDS), "a promoter does not answer"
        try:
            answer = jobs.recv()
        except (EOFError, ConnectionResetError):
            process.join(_SECONDS)
            assert process.exitcode == -signal.SIGKILL, f"it failed by itself: {process.exitcode}"
            return False
        assert answer == "promoted", answer
        return True

    def _hire(self) -> tuple[Any, Connection]:
        ours, theirs = self._context.Pipe()
        arguments = (self._world.settings, self._world.params, theirs)
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _work(settings: Settings, params: Params, jobs: Connection) -> None:
    warm = Runtime(settings=settings, params=params)
    ports = {"ledger": warm.ledger, "registry": warm.registry}
    while True:
        try:
            job: Job = jobs.recv()
        except EOFError:
            return
        runtime = Runtime(settings=settings, params=params)
        runtime.__dict__.update(ports)
        if job.fuse is not None:
            light(runtime, Fuse(*job.fuse))
        time.sleep(max(0.0, job.at - time.monotonic()))
        jobs.send(_tried(job.model_version, runtime))


def _tried(model_version: str, runtime: Runtime) -> str:
    try:
        decision = promote(DATASET, model_version, runtime=runtime, actor=f"process {os.getpid()}")
    except Exception as error:  # noqa: BLE001 - told to the race
        return repr(error)
    return "promoted" if decision.is_promoted else decision.reason


def _evidence(world: Runtime, version: str) -> GateRecord:
    """Return gates that a candidate has passed against the present champion."""
    present = world.ledger.champions.present(DATASET)
    training = world.ledger.latest(TrainingRecord, DATASET, subject=version)
    assert training is not None
    night = shift_partition(NIGHT if present is None else present.partition_key, 1)
    return GateRecord(
        dataset=DATASET,
        partition_key=night,
        model_version=version,
        bundle_digest=training.trained.bundle_digest,
        champion_version=None if present is None else present.model_version,
        champion_sequence=0 if present is None else present.sequence,
        metric="auc",
        challenger_value=0.8,
        champion_value=None,
        gates=(GateResult(name="beats_champion", is_passed=True, observed="yes", required="yes"),),
        is_passed=True,
    )
