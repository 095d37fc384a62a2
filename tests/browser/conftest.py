"""A real browser before a real API server of Airflow, over a home with a month on record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_server import Site, serve
from challengers_on_record import put_challengers_on_record
from chromium import log_in, open_chromium
from model_on_record import put_model_on_record
from playwright.sync_api import Browser, BrowserContext, Page
from watched_world import DATASET, HOSTILE, LAST, draw_with_evidently, make_watched_world

# A report into which the data has got a script that runs, and tries what it can.
_INTRUDER = """<!doctype html><body><p>performance</p><script>
(async () => {
  const tried = {};
  const attempt = async (name, act) => {
    try { tried[name] = await act() } catch { tried[name] = 'refused' }
  };
  await attempt('cookie', () => document.cookie);
  await attempt('page', () => { top.document.title = 'owned' });
  await attempt('leave', () => { top.location = '/api/v2/version' });
  await attempt('ask', () => fetch('/api/v2/dags').then(answer => answer.status));
  await attempt('tell', () => fetch('http://127.0.0.1:9/', {mode: 'no-cors'}).then(() => 'told'));
  document.body.dataset.tried = JSON.stringify(tried);
})()
</script></body>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give Airflow's API server with our pages."""
    runtime = make_watched_world(tmp_path_factory.mktemp("browser") / "home")
    draw_with_evidently(runtime)
    put_model_on_record(runtime, f"{LAST}|{HOSTILE}")
    put_challengers_on_record(runtime, hostile=HOSTILE)
    intruder = runtime.settings.reports / DATASET / LAST / "performance.html"
    intruder.write_text(_INTRUDER, encoding="utf-8")
    runtime.ledger.close()
    with serve(runtime.settings) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, which `make services` installs."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def login(site: Site, chromium: Browser) -> Iterator[BrowserContext]:
    """Log in through Airflow's own page, once; give the browser context that is logged in."""
    context = log_in(chromium, site.url, user=site.user, password=site.password)
    yield context
    context.close()


@pytest.fixture
def page(login: BrowserContext) -> Iterator[Page]:
    """Give a new page that is logged in."""
    page = login.new_page()
    yield page
    page.close()
