"""A storm of triggers: doubled, lost, reordered, at once, by processes that are killed all the time.

Whatever comes of it, an episode has exactly one retraining, and none goes without.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any

import pytest
import sqlalchemy
from drift_nights import DATASET, crown, verdict

from pipelines.config import Params
from pipelines.ledger.schema import retrainings
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.steps.episodes import follow_episode
from pipelines.steps.retrain import decide_retraining

# Two schedulers, with two workers each.
N_WORKERS = 4
N_EPISODES, NIGHTS_OF_EPISODE = 10, 10
N_ALARMS, CALM_NIGHTS = 3, 3
EVENTS_A_NIGHT = 10
SHARE_DOUBLED, SHARE_LOST, SHARE_LATE = 0.2, 0.1, 0.3
NIGHTS = partition_range("2013-04-01", "2013-07-09")
RULES = {"cooldown_days": 0, "max_per_30_days": 100, "calm_nights": CALM_NIGHTS}

Job = tuple[str, str]
Answer = tuple[str, str]


def _work(runtime: Runtime, jobs: Connection) -> None:
    """Do jobs until there are no more: what Airflow's tasks do, in a process that may die at any moment."""
    while True:
        job = jobs.recv()
        if job is None:
            return
        jobs.send(_done(runtime, job))


def _done(runtime: Runtime, job: Job) -> Answer | None:
    """Do one job; return its night and the one to train as of, where it says to train."""
    kind, night = job
    if kind == "monitor":
        action = "retrain" if NIGHTS.index(night) % NIGHTS_OF_EPISODE < N_ALARMS else "none"
        record = verdict(night, action)
        runtime.ledger.record(record)
        follow_episode(record, runtime=runtime)
    elif kind == "decide":
        decided = decide_retraining(DATASET, night, runtime=runtime)
        return (night, decided.retraining.partition_key) if decided.verdict == "go" else None
    else:
        for status in ("training", "registered", "promoted"):
            runtime.ledger.update_retraining(DATASET, night, status=status)
    return None


@dataclass
class Crew:
    """Worker processes, of which one is killed every now and then; what it worked on is tried again."""

    runtime: Runtime
    processes: multiprocessing.context.ForkServerContext
    chance: random.Random
    jobs_a_kill: float
    n_kills: int = 0
    _workers: list[tuple[Any, Connection]] = field(default_factory=list)
    _busy: dict[int, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._workers = [self._hire() for _ in range(N_WORKERS)]
        self._arm()

    def _arm(self) -> None:
        """Choose when the next one is killed: after some more jobs, at any moment of one."""
        self._n_until_kill = 1 + round(self.chance.expovariate(1 / self.jobs_a_kill))
        self._fuse_seconds = self.chance.uniform(0.0, 0.3)
        self._lit_at: float | None = None

    def _hire(self) -> tuple[Any, Connection]:
        ours, theirs = self.processes.Pipe()
        fresh = Runtime(
            settings=self.runtime.settings, params=Params.model_validate(self.runtime.params.model_dump())
        )
        process = self.processes.Process(target=_work, args=(fresh, theirs), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def do(self, jobs: list[Job]) -> list[Answer]:
        """Do all jobs, several at once; return what they said to train."""
        waiting, to_train = list(jobs), []
        while waiting or self._busy:
            for place in range(N_WORKERS):
                if waiting and place not in self._busy:
                    self._busy[place] = waiting.pop(0)
                    self._workers[place][1].send(self._busy[place])
            self._maybe_kill(waiting)
            ready = wait([self._workers[place][1] for place in self._busy], timeout=0.02)
            for place in [place for place in self._busy if self._workers[place][1] in ready]:
                answer = self._workers[place][1].recv()
                del self._busy[place]
                self._n_until_kill -= 1
                to_train += [] if answer is None else [answer]
        return to_train

    def _maybe_kill(self, waiting: list[Job]) -> None:
        if self._n_until_kill > 0 or not self._busy:
            return
        if self._lit_at is None:
            self._lit_at = time.monotonic()
        if time.monotonic() - self._lit_at < self._fuse_seconds:
            return
        place = self.chance.choice(list(self._busy))
        process, jobs = self._workers[place]
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        jobs.close()
        # Airflow sees that a task died, and tries it again.
        waiting.append(self._busy.pop(place))
        self._workers[place] = self._hire()
        self.n_kills += 1
        self._arm()

    def dismiss(self) -> None:
        for process, jobs in self._workers:
            jobs.send(None)
            process.join(30)
            assert process.exitcode == 0


def _deliveries(chance: random.Random) -> list[list[Job]]:
    """Return the events of each night, in the night that they arrive: doubled, lost, late, and shuffled."""
    arriving: list[list[Job]] = [[] for _ in NIGHTS]
    # Where events are lost, all of a night's are: the harshest way to lose a tenth of them.
    lost = set(chance.sample(NIGHTS, int(SHARE_LOST * len(NIGHTS))))
    for place, night in enumerate(NIGHTS):
        if night in lost:
            continue
        for _ in range(EVENTS_A_NIGHT):
            for _ in range(2 if chance.random() < SHARE_DOUBLED else 1):
                delay = chance.randint(1, 8) if chance.random() < SHARE_LATE else 0
                arriving[min(place + delay, len(NIGHTS) - 1)].append(("decide", night))
    for jobs in arriving:
        chance.shuffle(jobs)
    return arriving


def _handed_on(answers: list[Answer], chance: random.Random, askers: dict[str, str]) -> list[Job]:
    """Return the trainings that are started: the events of the retrain asset get lost and doubled too.

    Of every third retraining all is lost that the night which asked for it hands on, however often it does.
    """
    jobs: list[Job] = []
    for night, to_train in answers:
        asker = askers.setdefault(to_train, night)
        if list(askers).index(to_train) % 3 == 0 and night == asker:
            continue
        if chance.random() >= SHARE_LOST:
            jobs += [("train", to_train)] * (2 if chance.random() < SHARE_DOUBLED else 1)
    return jobs


def _pass_an_hour(runtime: Runtime) -> None:
    """Set the stamps of open retrainings back, as if the next night were an hour later."""
    engine = sqlalchemy.create_engine(runtime.settings.ledger_url)
    with engine.begin() as connection:
        rows = connection.execute(sqlalchemy.select(retrainings.c.id, retrainings.c.updated_at)).all()
        for row in rows:
            connection.execute(
                sqlalchemy.update(retrainings)
                .where(retrainings.c.id == row.id)
                .values(updated_at=row.updated_at - timedelta(hours=1))
            )
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, make_runtime) -> Iterator[Runtime]:
    """Return a Runtime on a ledger with a champion."""
    runtime = make_runtime({"datasets": {"flights": {"retraining": RULES}}})
    if request.param == "postgresql":
        places = {"ledger_url": request.getfixturevalue("postgresql_url")}
        runtime = Runtime(settings=runtime.settings.model_copy(update=places), params=runtime.params)
    crown(runtime.ledger)
    yield runtime
    runtime.ledger.close()


# More than a thousand decisions, in processes that start anew all the time: minutes on a busy machine.
@pytest.mark.timeout(1200)
def test_in_a_storm_of_triggers_each_episode_has_one_retraining_and_none_goes_without(world, processes):
    chance = random.Random(20130704)
    crew = Crew(world, processes, chance, jobs_a_kill=10)
    n_decided, askers = 0, dict[str, str]()
    for night, events in zip(NIGHTS, _deliveries(chance), strict=True):
        crew.do([("monitor", night), ("monitor", night)])
        n_decided += len(events)
        crew.do(_handed_on(crew.do(events), chance, askers))
        _pass_an_hour(world)
    crew.dismiss()

    episodes = list(reversed(world.ledger.episodes.list(DATASET)))
    assert [episode.opened_for for episode in episodes] == NIGHTS[::NIGHTS_OF_EPISODE]
    assert {episode.status for episode in episodes} == {"closed"}
    assert [episode.closed_for for episode in episodes] == NIGHTS[N_ALARMS + CALM_NIGHTS - 1 :: 10]
    outcomes = [
        [retraining.status for retraining in world.ledger.triggers.retrainings_of(episode.id)]
        for episode in episodes
    ]
    assert outcomes == [["promoted"]] * N_EPISODES
    assert len(world.ledger.retrainings(DATASET)) == N_EPISODES
    assert n_decided >= 1000
    assert crew.n_kills >= 20
    # All that was decided is on record with its reason, however it ended.
    triggers = world.ledger.triggers.list(DATASET)
    assert all(trigger.reason for trigger in triggers)
    assert Counter(trigger.verdict for trigger in triggers)["suppressed"] >= N_EPISODES


def _decide_until(runtime: Runtime, n_commits: int) -> None:
    """Monitor and decide a night, and be killed right before a transaction is committed."""
    seen = itertools.count(1)

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "commit")
    def blow(connection: sqlalchemy.Connection) -> None:
        if next(seen) == n_commits:
            os.kill(os.getpid(), signal.SIGKILL)

    _done(runtime, ("monitor", NIGHTS[0]))
    _done(runtime, ("decide", NIGHTS[0]))


def test_a_decision_killed_at_any_commit_is_made_once_by_its_repeats(make_runtime, processes):
    runtime = make_runtime()
    crown(runtime.ledger)
    n_kills = 0
    for n_commits in itertools.count(1):
        fresh = Runtime(settings=runtime.settings, params=runtime.params)
        process = processes.Process(target=_decide_until, args=(fresh, n_commits), daemon=True)
        process.start()
        process.join(60)
        n_kills += process.exitcode == -signal.SIGKILL
        assert len(runtime.ledger.episodes.list(DATASET)) <= 1
        assert len(runtime.ledger.retrainings(DATASET)) == len(runtime.ledger.triggers.list(DATASET)) <= 1
        if process.exitcode == 0:
            break
    assert n_kills >= 15
    (episode,) = runtime.ledger.episodes.list(DATASET)
    (retraining,) = runtime.ledger.triggers.retrainings_of(episode.id)
    assert (retraining.partition_key, retraining.status) == (NIGHTS[0], "requested")
    assert len(runtime.ledger.outbox.newest(DATASET)) == 1
