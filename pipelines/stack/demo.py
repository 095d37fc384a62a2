"""The demo: from nothing to real nights on real flights, each a real run of the real Dags.

A history of 2013 is taken in, a first champion is trained on its first months, and then nights of
the summer follow, one after the other. What happens in them is up to the data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipelines.config import Params, Settings
from pipelines.errors import ConfigError, StackError
from pipelines.metrics import primary_metric
from pipelines.records import ValidationRecord, now_utc, partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.control import connect, down, up
from pipelines.stack.interrupts import interruptible, pause
from pipelines.stack.report import status
from pipelines.stack.settling import Settler, Stirred
from pipelines.stack.state import StackPaths, StackState
from pipelines.stack.summary import (
    NOTHING,
    action_words,
    champion_table,
    drift_words,
    missing_evidence,
    night_table,
    read_nights,
    stage_table,
)

Say = Callable[[str], None]

DATASET = "flights"
# The first champion learns winter and spring as they were known at the last of these nights.
FIRST_MONTHS = ("2013-01-01", "2013-03-31")
# History that is loaded, and scored by nobody.
INTERLUDE = ("2013-04-01", "2013-06-26")
FIRST_NIGHT = "2013-06-27"
_HISTORY_SECONDS = 900.0
_NIGHT_SECONDS = 600.0
_REST_SECONDS = 180.0
_START_SECONDS = 90.0
_INTERRUPTED = 130


def run_demo(
    settings: Settings,
    params: Params,
    *,
    nights: int = 10,
    keep_up: bool = False,
    api_port: int | None = None,
    mlflow_port: int | None = None,
    say: Say = print,
) -> int:
    """Run the demo; return the exit status.

    Parameters
    ----------
    nights : int
        How many nights to run, from 27 June 2013 on.
    keep_up : bool
        Whether to leave the stack up at the end; one that was up before is left up in any case.
    api_port, mlflow_port : int, optional
        As for :func:`~pipelines.stack.control.up`.

    Returns
    -------
    int
        0 if every night ran, a drift was confirmed, a retraining was made because of it, and the gates
        decided on its challenger; 1 if not, after the table has shown what did happen; 130 if
        interrupted.

    Raises
    ------
    StackError
        If the stack fails, or a run of the demo does; nothing that the demo started is left running.
    ConfigError
        If params.yaml does not enable the dataset, or has a person approve its promotions.
    """
    if DATASET not in params.enabled:
        raise ConfigError(f"The demo runs on `{DATASET}`: enable it in params.yaml.")
    if params.dataset(DATASET).promotion.approval != "auto":
        raise ConfigError(
            "The demo promotes on the gates' word alone: set `promotion.approval: auto` in params.yaml."
        )
    keys = partition_range(FIRST_NIGHT, shift_partition(FIRST_NIGHT, nights - 1))
    runtime = Runtime(settings=settings, params=params)
    leave_up = keep_up or status(settings).is_up
    try:
        with interruptible():
            try:
                state = up(settings, api_port=api_port, mlflow_port=mlflow_port, say=say)
                with connect(settings, state) as api:
                    demo = Demo(runtime=runtime, state=state, api=api, started_at=now_utc(), say=say)
                    demo.load_history()
                    for place, night in enumerate(keys, start=1):
                        demo.run_night(night, f"{place} of {len(keys)}")
                    return demo.conclude(keys)
            finally:
                if not leave_up:
                    down(settings, say=say)
    except KeyboardInterrupt:
        say("Interrupted.")
        return _INTERRUPTED


@dataclass(frozen=True)
class Demo:
    """One demo on a stack that is up.

    Parameters
    ----------
    runtime, state, api
        What is decided, what runs, and how to start things.
    started_at : datetime
        What ran before then is not counted.
    say : callable
        Takes one line of progress at a time.
    """

    runtime: Runtime
    state: StackState
    api: AirflowApi
    started_at: datetime
    say: Say

    @property
    def _settler(self) -> Settler:
        logs = StackPaths(self.runtime.settings.home).airflow_home / "logs"
        return Settler(self.api, self.runtime.ledger, self.state, DATASET, logs, self._tell)

    def load_history(self) -> None:
        """Load what came before the nights, and see the first champion made on its way.

        The first months are handed on to scoring, which finds no champion, and so asks for the
        training of one.
        """
        ledger = self.runtime.ledger
        # The scheduler starts last night's own run at once; it would only blur what follows.
        self._settler.rest(timeout_seconds=_REST_SECONDS)
        if ledger.champions.present(DATASET) is None or not self._is_loaded(*FIRST_MONTHS):
            self._load(*FIRST_MONTHS, purpose="and training the first champion on it")
        champion = ledger.champions.present(DATASET)
        if champion is None:
            raise StackError(
                f"No first champion was promoted: see the gates of promote_{DATASET} in Airflow's page."
            )
        self._tell(f"Champion: {DATASET} v{champion.model_version} (of {champion.partition_key}).")
        if self._is_loaded(*INTERLUDE):
            self._tell("The history up to the first night is in the lake already.")
        else:
            self._load(*INTERLUDE, purpose="up to the first night")

    def run_night(self, night: str, place: str) -> None:
        """Have Airflow make a run of one night by a backfill, and wait until all it caused is over."""
        began, since = time.monotonic(), now_utc()
        self._start_night(night, since)
        self._settler.settle(Stirred(night, since), timeout_seconds=_NIGHT_SECONDS)
        for backfill in self.api.open_backfills(f"ingest_{DATASET}"):
            self.api.close_backfill(backfill["id"])
        (found,) = read_nights(self.runtime.ledger, DATASET, [night])
        n_rows = "?" if found.ingestion is None else found.ingestion.n_rows
        action = "" if (words := action_words(found)) == NOTHING else f"; {words}"
        self._tell(
            f"Night {night} ({place}) in {time.monotonic() - began:.0f} s: {n_rows} rows, "
            f"drift {drift_words(found.drift)}{action}"
        )

    def conclude(self, keys: list[str]) -> int:
        """Print the tables; return 0 if all that the demo is to show did happen, else 1."""
        ledger, settings = self.runtime.ledger, self.runtime.settings
        nights = read_nights(ledger, DATASET, keys)
        metric = primary_metric(self.runtime.dataset(DATASET).task).name
        tasks = self.api.task_instances(start_date_gte=self.started_at.isoformat())
        paths = StackPaths(settings.home)
        chapters = {
            "The nights": night_table(nights, metric),
            "The champions": champion_table(ledger.champions.history(DATASET)),
            "The time each stage took": stage_table(tasks),
            "Where things are": [
                f"reports   {settings.reports}  (and in Airflow's page, under Holdfast)",
                f"tables    {settings.lake_uri}",
                f"ledger    {settings.ledger_url}",
                f"models    {settings.mlflow_uri}",
                f"data      {settings.dvc_remote}",
            ],
            "How to look": [
                f"make up   then {self.state.api_url}  (user admin, password in {paths.passwords})",
                *([f"          and {self.state.mlflow_url}  (MLflow)"] if self.state.mlflow_url else []),
                "make down stops it; make clean removes all state",
            ],
        }
        for title, lines in chapters.items():
            self.say("\n".join(["", title, *(f"  {line}" for line in lines)]))
        self.say("")
        missing = missing_evidence(nights)
        for sentence in missing:
            self.say(f"The demo falls short: {sentence}")
        if not missing:
            self.say("Drift was found, a challenger was trained because of it, and the gates decided.")
        return 1 if missing else 0

    def _load(self, first: str, last: str, *, purpose: str) -> None:
        began, since = time.monotonic(), now_utc()
        self._tell(f"Loading {first} to {last}, {purpose}.")
        run_id = f"demo__{first}__{last}__{since:%Y%m%dT%H%M%S}"
        self.api.trigger(f"ingest_{DATASET}", run_id, conf={"first": first, "last": last})
        self._settler.settle(Stirred(last, since, run_id), timeout_seconds=_HISTORY_SECONDS)
        self._tell(f"  done in {time.monotonic() - began:.0f} s")

    def _is_loaded(self, first: str, last: str) -> bool:
        found = self.runtime.ledger.history(ValidationRecord, DATASET, first=first, last=last)
        return {record.partition_key for record in found} >= set(partition_range(first, last))

    def _start_night(self, night: str, since: datetime) -> None:
        """Ask for the night's backfill until its run is there: only one backfill of a Dag can be open."""
        dag_id = f"ingest_{DATASET}"
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self.api.create_backfill(dag_id, night, night, is_repeat=True) is not None:
                return
            runs = self.api.dag_runs(dag_id, updated_at_gte=since.isoformat())
            if any(run["partition_key"] == night and run["run_type"] == "backfill" for run in runs):
                return
            # One of an earlier demo, whose runs may be over.
            if not self.api.dag_runs(dag_id, state=["queued", "running"]):
                for backfill in self.api.open_backfills(dag_id):
                    self.api.close_backfill(backfill["id"])
            pause(1.0)
        raise StackError(
            f"Airflow did not start a backfill of {dag_id} for {night} in {_START_SECONDS:.0f} s: "
            "another one is open."
        )

    def _tell(self, line: str) -> None:
        self.say(f"{(now_utc() - self.started_at).total_seconds():5.0f} s  {line}")
