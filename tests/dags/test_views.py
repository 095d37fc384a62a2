"""Holdfast's pages: behind Airflow's login, and harmless whatever the data holds."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin

import pytest
from fastapi import FastAPI
from model_on_record import put_model_on_record
from watched_world import DATASET, HOSTILE, LAST, NIGHTS, make_watched_world

from pipelines.config import PROJECT_ROOT, load_params, load_settings
from pipelines.pages.places import column_id
from pipelines.runtime import Runtime

FORGED_NAME = '"><img src=x onerror=alert(1)>.html'
OUTSIDE = "outside the reports"
ROW = f"{LAST}|{HOSTILE}"


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
def world(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    runtime = make_watched_world(tmp_path_factory.mktemp("watched") / "home")
    root = runtime.settings.reports
    newest = root / DATASET / LAST
    for name in ("drift.html", "validation.html"):
        (newest / name).write_text(HOSTILE, encoding="utf-8")
    (newest / "index.html").write_text(HOSTILE, encoding="utf-8")
    (newest / FORGED_NAME).write_text("x", encoding="utf-8")
    (newest / ".index.html.tmp").write_text("half", encoding="utf-8")
    (newest / ".hidden.html").write_text("half", encoding="utf-8")
    (newest / "model.pkl").write_text("x", encoding="utf-8")
    (root.parent / "secret.html").write_text(OUTSIDE, encoding="utf-8")
    (newest / "link.html").symlink_to(root.parent / "secret.html")
    put_model_on_record(runtime, ROW)
    return runtime


@pytest.fixture(scope="module")
def airflow_app(airflow_database: None, world: Runtime) -> Iterator[FastAPI]:
    """Give Airflow's own web app, with our plugin as Airflow loads it."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(world.settings.home))
        patch.setenv("HOLDFAST_PARAMS", str(world.settings.params))
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


def addresses() -> list[str]:
    """Return one address of each route of ours, and a few more."""
    night = f"{DATASET}/{LAST}"
    return [
        "/",
        f"/drift/{DATASET}",
        f"/drift/{DATASET}?last=2013-06-30&from=3",
        f"/drift/{night}/temp",
        f"/drift/{night}/{column_id(HOSTILE)}",
        f"/night/{night}",
        f"/nights/{DATASET}",
        f"/models/{DATASET}",
        f"/models/{DATASET}?at={LAST}",
        f"/models/{DATASET}/3",
        f"/rows/{DATASET}",
        f"/rows/{DATASET}?row={quote(ROW)}",
        f"/show/{night}/drift.html",
        f"/reports/{night}/index.html",
        f"/reports/{night}/drift.json",
    ]


# Under these there is nothing: not even that is told to a stranger.
NOWHERE = (
    "/nothing-here",
    "/openapi.json",
    "/docs",
    "/drift",
    "/models",
    "/rows",
    "/drift/trips/2013-07-11",
    "/reports/none",
)


def test_every_route_demands_the_login_and_is_among_the_addresses_tried(
    airflow_app: FastAPI, world: Runtime
) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    from holdfast_airflow.views.app import build_app

    tried = set()
    for route in build_app(world.settings).routes:
        assert get_user in [d.call for d in route.dependant.dependencies]  # type: ignore[attr-defined]
        found = [a for a in (*addresses(), *NOWHERE) if route.path_regex.match(a.partition("?")[0])]  # type: ignore[attr-defined]
        assert found, route
        tried |= set(found)
    assert tried == {*addresses(), *NOWHERE}


@pytest.mark.parametrize("address", [*addresses(), *NOWHERE])
def test_without_login_every_address_is_refused(stranger: Client, address: str) -> None:
    answer = stranger.get(f"/holdfast{address}")
    assert answer.status_code in (401, 403)
    assert DATASET not in answer.text


@pytest.mark.parametrize("address", addresses())
def test_with_login_every_address_answers(user: Client, address: str) -> None:
    assert user.get(f"/holdfast{address}").status_code == 200


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name == "href"]


def test_every_link_of_every_page_leads_somewhere(user: Client) -> None:
    seen, left = set(), ["/holdfast/"]
    while left:
        address = left.pop()
        path = address.partition("?")[0]
        if path in seen or "/reports/" in path:
            continue
        seen.add(path)
        answer = user.get(address)
        assert answer.status_code == 200, address
        assert len(answer.text.encode()) <= 300_000, address
        page = _Page(answer.text)
        assert not {"script", "img"} & set(page.tags), address
        left += [urljoin(address, link) for link in page.links if not link.startswith("#")]
    # All nights, and every column on each: the map leads to all of them.
    assert len(seen) >= 30 * (1 + 11)


@pytest.mark.parametrize(
    "address",
    [
        *NOWHERE,
        "/drift/nosuch",
        "/drift/trips?last=2013-02-30",
        "/drift/trips/2013-07-11/nosuch",
        "/drift/trips/2012-07-11/temp",
        "/night/trips/2012-07-11",
        "/night/trips/tonight",
        "/night/nosuch/2013-07-11",
        "/nights/nosuch",
        "/models/nosuch",
        "/models/trips/4",
        "/models/nosuch/3",
        "/rows/nosuch",
        "/rows/trips?row=2013-07-11%7C1",
        "/rows/trips?row=no-night",
        "/show/trips/2013-07-11/nosuch.html",
        "/show/trips/2013-07-11/..%2F..%2Fsecret.html",
    ],
)
def test_what_is_not_on_record_is_not_found(user: Client, address: str) -> None:
    assert user.get(f"/holdfast{address}").status_code == 404


def test_the_list_of_nights_is_newest_first_and_older_ones_are_a_click_away(world: Runtime) -> None:
    from pipelines.steps.pages import night_lines

    newest, before = night_lines(DATASET, runtime=world, limit=20)
    assert [line.night for line in newest] == list(reversed(NIGHTS))[:20]
    older, end = night_lines(DATASET, runtime=world, before=before, limit=20)
    assert [line.night for line in older] == list(reversed(NIGHTS))[20:]
    assert end is None


@pytest.mark.parametrize(
    ("at", "told"),
    [
        pytest.param(LAST, "Better than none by 0.21 AUC.", id="a-night"),
        pytest.param("2013-01-01 00:00", "There was no champion yet.", id="a-time-before-the-first"),
        pytest.param("<b>tonight</b>", "is neither a night", id="no-time"),
    ],
)
def test_who_was_champion_is_answered(at: str, told: str, user: Client) -> None:
    answer = user.get(f"/holdfast/models/{DATASET}?at={quote(at)}")
    assert answer.status_code == 200
    assert told in answer.text
    assert "<b>tonight" not in answer.text


def test_forms_ask_us_and_nobody_else(user: Client) -> None:
    for address in (f"/models/{DATASET}", f"/rows/{DATASET}"):
        policy = user.get(f"/holdfast{address}").headers["content-security-policy"]
        assert "form-action 'self'" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
    assert "form-action 'none'" in user.get("/holdfast/").headers["content-security-policy"]


def test_a_card_shows_gates_with_their_evidence_and_what_was_not_measured(user: Client) -> None:
    text = user.get(f"/holdfast/models/{DATASET}/3").text
    for part in ("beats_champion", "gain over none", "0.21", "Not measured", "commit c0ffee"):
        assert part in text


def test_a_passport_of_a_hostile_row_is_only_text(user: Client) -> None:
    answer = user.get(f"/holdfast/rows/{DATASET}?row={quote(ROW)}")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "0.625" in answer.text
    assert "../models/trips/3" in answer.text


def test_a_report_is_framed_without_our_login(user: Client) -> None:
    answer = user.get(f"/holdfast/show/{DATASET}/{LAST}/drift.html")
    assert 'sandbox="allow-scripts"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "frame-src 'self'" in policy
    assert "script-src" not in policy


def test_a_dataset_that_is_added_has_its_page_without_a_restart(tmp_path: Path) -> None:
    from holdfast_airflow.views.open_runtime import OpenRuntime
    from holdfast_airflow.views.pages import health

    runtime = make_watched_world(tmp_path / "home")
    open_runtime = OpenRuntime(runtime.settings)
    assert "flights" not in health(open_runtime())
    shipped = (PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8")
    runtime.settings.params.write_text(shipped, encoding="utf-8")
    assert "flights" in health(open_runtime())
    open_runtime().ledger.close()


def test_a_broken_configuration_is_said_where_a_person_looks(airflow_app: FastAPI, tmp_path: Path) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    from holdfast_airflow.views.app import build_app

    broken = tmp_path / "params.yaml"
    broken.write_text("datasets: 3")
    settings = load_settings({"HOLDFAST_HOME": str(tmp_path), "HOLDFAST_PARAMS": str(broken)})
    app = build_app(settings)
    app.dependency_overrides[get_user] = lambda: "somebody"
    answer = Client(app).get("/")
    assert answer.status_code == 503
    assert "can’t read its record" in answer.text
    assert "params.yaml" in answer.text


def test_a_home_without_nights_says_so(tmp_path: Path) -> None:
    from holdfast_airflow.views import pages

    settings = load_settings({"HOLDFAST_HOME": str(tmp_path)})
    runtime = Runtime(settings=settings, params=load_params(PROJECT_ROOT / "params.yaml"))
    assert "No night yet" in pages.health(runtime)
    assert "No night was judged yet" in (pages.drift(runtime, "flights", None, 0) or "")
    assert "No nights." in (pages.nights(runtime, "flights", None) or "")
    assert pages.night(runtime, "flights", "2013-01-01") is None
    runtime.ledger.close()


@pytest.mark.parametrize("name", ["index.html", "validation.html", "drift.html"])
def test_nothing_in_a_report_can_act_with_our_login(user: Client, name: str) -> None:
    answer = user.get(f"/holdfast/reports/trips/2013-07-11/{name}")
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
    policy = user.get(f"/holdfast/reports/trips/2013-07-11/{name}").headers["content-security-policy"]
    assert "script-src" not in policy
    assert "sandbox" not in policy, "its links keep the login"


def test_json_is_never_taken_for_a_page(user: Client) -> None:
    answer = user.get("/holdfast/reports/trips/2013-07-11/drift.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "address", ["/", f"/drift/{DATASET}", f"/night/{DATASET}/{LAST}", f"/nights/{DATASET}"]
)
def test_our_pages_run_no_script(user: Client, address: str) -> None:
    policy = user.get(f"/holdfast{address}").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("../secret.html", id="up"),
        pytest.param("trips/../../secret.html", id="up-from-within"),
        pytest.param("..%2Fsecret.html", id="encoded"),
        pytest.param("%2e%2e/secret.html", id="encoded-dots"),
        pytest.param("..%5Csecret.html", id="backslash"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("%2Fetc%2Fpasswd", id="encoded-absolute"),
        pytest.param("trips/2013-07-11/link.html", id="link-out"),
        pytest.param("trips/2013-07-11/.hidden.html", id="hidden"),
        pytest.param("trips/2013-07-11/model.pkl", id="other-type"),
        pytest.param("trips/2013-07-11", id="folder"),
        pytest.param("trips/2013-07-11/index.html%00", id="null-byte"),
        pytest.param("trips/2012-07-11/index.html", id="no-such-night"),
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
        "trips/../../secret.html",
        "/etc/passwd",
        "a\\b.html",
        "",
        "a//b.html",
        "a\x00.html",
    ],
)
def test_no_address_leads_out_of_the_reports(world: Runtime, path: str) -> None:
    from holdfast_airflow.views.reports import find_report

    assert find_report(world.settings.reports, path) is None


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
