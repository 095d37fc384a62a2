"""Holdfast's pages: behind Airflow's login, and harmless whatever the data holds."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI

HOSTILE = "</script><script>alert(1)</script>"
FORGED_NAME = '"><img src=x onerror=alert(1)>.html'
OUTSIDE = "outside the reports"


@dataclass
class Answer:
    """What the app answers to one request."""

    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Client:
    """Sends an address to the app exactly as it is written: usual clients tidy `..` away first."""

    app: Any
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def get(self, target: str) -> Answer:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"127.0.0.1"), *self.headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        answer, sent = Answer(), [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return sent.pop() if sent else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                answer.headers |= {k.decode().lower(): v.decode() for k, v in message["headers"]}
            elif message["type"] == "http.response.body":
                answer.text += message.get("body", b"").decode()

        asyncio.run(self.app(scope, receive, send))
        return answer


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stack") / "reports"
    for day in range(1, 41):
        folder = root / "flights" / f"2013-{6 + day // 31:02d}-{day % 31 + 1:02d}"
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(f"<h1>{folder.name}</h1>{HOSTILE}", encoding="utf-8")
    newest = root / "flights" / "2013-07-10"
    (newest / "drift.html").write_text(HOSTILE, encoding="utf-8")
    (newest / "validation.html").write_text(HOSTILE, encoding="utf-8")
    (newest / "drift.json").write_text("{}", encoding="utf-8")
    (newest / FORGED_NAME).write_text("x", encoding="utf-8")
    (newest / ".index.html.tmp").write_text("half", encoding="utf-8")
    (newest / ".hidden.html").write_text("half", encoding="utf-8")
    (newest / "model.pkl").write_text("x", encoding="utf-8")
    (root / "Not A Dataset").mkdir()
    (root.parent / "secret.html").write_text(OUTSIDE, encoding="utf-8")
    (newest / "link.html").symlink_to(root.parent / "secret.html")
    return root


@pytest.fixture(scope="module")
def airflow_app(airflow_database: None, reports: Path) -> Iterator[FastAPI]:
    """Give Airflow's own web app, with our plugin as Airflow loads it."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_REPORTS", str(reports))
        plugins_manager._get_plugins.cache_clear()
        plugins_manager.get_fastapi_plugins.cache_clear()
        with warnings.catch_warnings():
            # Airflow and its providers use what their libraries deprecate while the app is put together.
            warnings.simplefilter("ignore")
            app = create_app(apps="core")
        yield app


@pytest.fixture(scope="module")
def stranger(airflow_app: FastAPI) -> Client:
    return Client(airflow_app)


@pytest.fixture(scope="module")
def user(airflow_app: FastAPI) -> Client:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="tester", role="viewer"))
    return Client(airflow_app, headers=((b"authorization", f"Bearer {token}".encode()),))


@pytest.mark.parametrize(
    "path",
    [
        "/holdfast/",
        "/holdfast/?dataset=flights",
        "/holdfast/reports/flights/2013-07-10/index.html",
        "/holdfast/reports/none",
    ],
)
def test_without_login_every_page_is_refused(stranger: Client, path: str) -> None:
    assert stranger.get(path).status_code == 401


def test_every_route_of_the_app_demands_the_login(reports: Path) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    from holdfast_airflow.views.app import build_app

    app = build_app(reports)
    assert len(app.routes) == 2
    for route in app.routes:
        assert get_user in [d.call for d in route.dependant.dependencies]  # type: ignore[attr-defined]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name == "href"]


def test_nights_are_listed_newest_first_and_older_ones_are_a_click_away(user: Client) -> None:
    answer = user.get("/holdfast/")
    page = _Page(answer.text)
    summaries = [link.split("/")[2] for link in page.links if link.endswith("index.html")]
    assert len(summaries) == 30
    assert summaries == sorted(summaries, reverse=True)
    older = _Page(user.get("/holdfast/" + page.links[-1]).text)
    rest = [link.split("/")[2] for link in older.links if link.endswith("index.html")]
    assert len(set(summaries) | set(rest)) == 40
    assert "Not A Dataset" not in answer.text


def test_a_hostile_file_name_stays_a_name(user: Client) -> None:
    page = _Page(user.get("/holdfast/").text)
    assert not {"img", "script"} & set(page.tags)
    link = next(link for link in page.links if "onerror" in link)
    assert user.get(f"/holdfast/{link}").text == "x"


@pytest.mark.parametrize("name", ["index.html", "validation.html", "drift.html"])
def test_nothing_in_a_report_can_act_with_our_login(user: Client, name: str) -> None:
    answer = user.get(f"/holdfast/reports/flights/2013-07-10/{name}")
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
    )
    assert answer.status_code == 200
    assert HOSTILE in answer.text
    # Either no script runs, or it runs in an origin of its own; and nothing is loaded or sent.
    assert "script-src" not in policy or policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert not {"connect-src", "object-src", "frame-src", "worker-src"} & set(policy)
    assert "http" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", ["index.html", "validation.html"])
def test_pages_of_our_own_run_no_script_at_all(user: Client, name: str) -> None:
    policy = user.get(f"/holdfast/reports/flights/2013-07-10/{name}").headers["content-security-policy"]
    assert "script-src" not in policy
    assert "sandbox" not in policy, "its links keep the login"


def test_json_is_never_taken_for_a_page(user: Client) -> None:
    answer = user.get("/holdfast/reports/flights/2013-07-10/drift.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_list_runs_no_script(user: Client) -> None:
    policy = user.get("/holdfast/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../secret.html", id="up"),
        pytest.param("flights/../../secret.html", id="up-from-within"),
        pytest.param("..%2Fsecret.html", id="encoded"),
        pytest.param("%2e%2e/secret.html", id="encoded-dots"),
        pytest.param("..%5Csecret.html", id="backslash"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("%2Fetc%2Fpasswd", id="encoded-absolute"),
        pytest.param("flights/2013-07-10/link.html", id="link-out"),
        pytest.param("flights/2013-07-10/.hidden.html", id="hidden"),
        pytest.param("flights/2013-07-10/model.pkl", id="other-type"),
        pytest.param("flights/2013-07-10", id="folder"),
        pytest.param("flights/2013-07-10/index.html%00", id="null-byte"),
        pytest.param("flights/2013-07-11/index.html", id="no-such-night"),
        pytest.param("x" * 5000 + ".html", id="too-long"),
    ],
)
def test_nothing_but_reports_is_served(user: Client, path: str) -> None:
    answer = user.get(f"/holdfast/reports/{path}")
    assert answer.status_code == 404
    assert OUTSIDE not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "flights/../../secret.html",
        "/etc/passwd",
        "a\\b.html",
        "",
        "a//b.html",
        "a\x00.html",
    ],
)
def test_no_address_leads_out_of_the_reports(reports: Path, path: str) -> None:
    from holdfast_airflow.views.reports import find_report

    assert find_report(reports, path) is None


def test_a_stack_without_reports_says_so(tmp_path: Path) -> None:
    from holdfast_airflow.views.pages import nights_page
    from holdfast_airflow.views.reports import datasets_with_reports, list_nights

    assert datasets_with_reports(tmp_path / "none") == []
    assert list_nights(tmp_path, "../etc", limit=3) == []
    assert "No night has been monitored" in nights_page({}, page_size=30)


def test_the_page_is_in_airflows_menu(airflow_app: FastAPI) -> None:
    from airflow import plugins_manager

    views, _ = plugins_manager._get_ui_plugins()
    assert {view["name"]: view["href"] for view in views}["Holdfast"] == "/holdfast/"


def test_the_plugins_loader_finds_one_plugin_and_no_second_copy_of_our_modules(airflow_app: Any) -> None:
    import sys

    from airflow import plugins_manager

    plugins, errors = plugins_manager._get_plugins()
    assert [p.name for p in plugins if "holdfast" in str(p.source)] == ["holdfast"]
    assert errors == {}
    assert "operators" not in sys.modules
