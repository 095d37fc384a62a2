"""A small client of Airflow's REST API, for one user of one server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from pipelines.errors import StackError
from pipelines.stack.interrupts import pause, waiting

Json = dict[str, Any]

_ATTEMPTS = 8
_LONGEST_WAIT_SECONDS = 8.0
_PAGE = 100


class AirflowApi:
    """Airflow's REST API.

    Parameters
    ----------
    url : str
        The server's root, such as ``http://127.0.0.1:8080``.
    user, password : str
        Who asks; the token they give is renewed when it runs out.
    attempts : int
        How often a request is sent before a server that does not answer, or fails, is an error.
        On SQLite a burst of writes makes some requests fail that succeed a moment later.

    Raises
    ------
    StackError
        From every method, if the server refuses, or fails again and again.
    """

    def __init__(self, url: str, user: str, password: str, *, attempts: int = _ATTEMPTS) -> None:
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self._login = {"username": user, "password": password}
        self._attempts = attempts
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def dags(self) -> list[Json]:
        """Return every Dag that is not stale."""
        return [dag for dag in self._pages("/dags", "dags") if not dag["is_stale"]]

    def import_errors(self) -> list[Json]:
        """Return what kept a Dag file from being imported: ``filename``, ``stack_trace``, ``timestamp``."""
        return self._pages("/importErrors", "import_errors")

    def trigger(
        self, dag_id: str, run_id: str, *, partition_key: str | None = None, conf: Json | None = None
    ) -> Json:
        """Start a run by hand, with its form filled in; a repeat with one ``run_id`` starts nothing.

        Returns
        -------
        dict
            The run.
        """
        body = {
            "dag_run_id": run_id,
            "logical_date": None,
            "conf": conf or {},
            "partition_key": partition_key,
        }
        answer = self._send("POST", f"/dags/{dag_id}/dagRuns", json=body, expected=(409,))
        if answer.status_code == httpx.codes.CONFLICT:
            return self.dag_run(dag_id, run_id)
        return _json(answer)

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        return _json(self._send("GET", f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}"))

    def dag_runs(self, dag_id: str = "~", **filters: Any) -> list[Json]:
        """Return the runs of one Dag (of all by default), oldest first.

        Parameters
        ----------
        filters
            Query parameters of the API, such as ``state=["queued", "running"]``.
        """
        return self._pages(f"/dags/{dag_id}/dagRuns", "dag_runs", {"order_by": "id", **filters})

    def create_backfill(self, dag_id: str, first: str, last: str, *, is_repeat: bool) -> int | None:
        """Ask for the runs of a range of partitions.

        Parameters
        ----------
        first, last : str
            Partition keys, both included.
        is_repeat : bool
            Whether partitions that have been run already are run again.

        Returns
        -------
        int or None
            The number of the backfill; None while an earlier one of the Dag is still open.
        """
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T23:59:59Z",
            "max_active_runs": 1,
            "reprocess_behavior": "completed" if is_repeat else "none",
            # Said explicitly, the server need not look it up in a transaction that blocks its own writes.
            "run_on_latest_version": True,
        }
        answer = self._send("POST", "/backfills", json=body, expected=(409,))
        return None if answer.status_code == httpx.codes.CONFLICT else int(_json(answer)["id"])

    def open_backfills(self, dag_id: str) -> list[Json]:
        """Return the backfills of a Dag that are not complete."""
        found = self._pages("/backfills", "backfills", {"dag_id": dag_id})
        return [backfill for backfill in found if backfill["completed_at"] is None]

    def close_backfill(self, backfill_id: int) -> None:
        """Mark a backfill complete; the scheduler does so itself only twice a minute.

        Its queued runs, if any, are given up; running and finished ones are left as they are.
        """
        # 409: the scheduler was faster.
        self._send("PUT", f"/backfills/{backfill_id}/cancel", expected=(409,))

    def task_instances(self, dag_id: str = "~", run_id: str = "~", **filters: Any) -> list[Json]:
        """Return the task instances of a run (of all by default)."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances"
        return self._pages(path, "task_instances", {"order_by": "id", **filters})

    def task_log(self, task: Json, *, n: int = 20) -> list[str]:
        """Return the last lines that a task wrote in its newest attempt."""
        path = (
            f"/dags/{task['dag_id']}/dagRuns/{_quoted(task['dag_run_id'])}"
            f"/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        )
        answer = self._send("GET", path, params={"full_content": True}, expected=(404,))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        lines = [_log_line(entry) for entry in _json(answer).get("content", [])]
        # First comes a group of lines that says where the log was read from.
        own = lines[lines.index("::endgroup::") + 1 :] if "::endgroup::" in lines[:5] else lines
        return [line for line in own if not line.startswith("::")][-n:]

    def hitl_details(self, dag_id: str = "~", run_id: str = "~") -> list[Json]:
        """Return what waits for a person's answer."""
        return self._pages(f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/hitlDetails", "hitl_details")

    def answer(
        self, dag_id: str, run_id: str, task_id: str, option: str, *, form: Json | None = None
    ) -> None:
        """Give a person's answer to a task that waits for it, such as ``Approve``, with its form filled."""
        path = f"/dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/-1/hitlDetails"
        self._send("PATCH", path, json={"chosen_options": [option], "params_input": form or {}})

    def health(self) -> dict[str, str]:
        """Return the state of each of Airflow's parts, such as ``{"scheduler": "healthy"}``."""
        answer = self._client.get("/api/v2/monitor/health", timeout=20.0)
        answer.raise_for_status()
        return {part: str((state or {}).get("status")) for part, state in answer.json().items()}

    def _pages(self, path: str, key: str, params: Mapping[str, Any] | None = None) -> list[Json]:
        found: list[Json] = []
        while True:
            page = {"limit": _PAGE, "offset": len(found), **(params or {})}
            content = _json(self._send("GET", path, params=page))
            found += content[key]
            if not content[key] or len(found) >= content["total_entries"]:
                return found

    def _send(
        self, method: str, path: str, *, expected: tuple[int, ...] = (), **content: Any
    ) -> httpx.Response:
        """Send a request until it is answered; statuses of ``expected`` are answers too."""

        def ask() -> httpx.Response:
            answer = self._client.request(method, f"/api/v2{path}", headers=self._authorise(), **content)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._token = None
            return answer

        answer = self._insist(ask, what=f"{method} {path}")
        if answer.is_success or answer.status_code in expected:
            return answer
        raise StackError(f"Airflow refused {method} {path} ({answer.status_code}): {answer.text[:400]}")

    def _authorise(self) -> dict[str, str]:
        if self._token is None:
            answer = self._client.post("/auth/token", json=self._login)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                user = self._login["username"]
                raise StackError(
                    f"Airflow knows no user {user!r} with the password on file; restart the stack."
                )
            answer.raise_for_status()
            self._token = str(answer.json()["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    def _insist(self, ask: Callable[[], httpx.Response], *, what: str) -> httpx.Response:
        problem = "no answer"
        for attempt in range(self._attempts):
            if attempt:
                pause(min(0.25 * 2 ** (attempt - 1), _LONGEST_WAIT_SECONDS))
            try:
                with waiting():
                    answer = ask()
            except httpx.HTTPStatusError as error:
                problem = f"{error.response.status_code} {error.response.text[:200]}"
                continue
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
                continue
            if answer.status_code != httpx.codes.UNAUTHORIZED and not answer.is_server_error:
                return answer
            problem = f"{answer.status_code} {answer.text[:200]}"
        raise StackError(
            f"Airflow's API failed {self._attempts} times at {what} ({problem}); "
            "see `holdfast logs api-server`."
        )


def _json(answer: httpx.Response) -> Json:
    content: Json = answer.json()
    return content


def _quoted(run_id: str) -> str:
    return quote(run_id, safe="~")


def _log_line(entry: Json | str) -> str:
    """Return one line of a task's log, with the exception that it carries, if any."""
    if isinstance(entry, str):
        return entry
    problems = [f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("error_detail") or []]
    return " | ".join([str(entry.get("event", "")), *problems])
