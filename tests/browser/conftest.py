"""A real browser before a real API server of Airflow, over a home with a month on record."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from api_server import Site, serve
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from watched_world import DATASET, LAST, draw_with_evidently, make_watched_world

# What a browser asks of its maker in the background would look like a page's own request.
_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-sandbox",  # Chromium's own sandbox needs rights that a container seldom gives
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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
    intruder = runtime.settings.reports / DATASET / LAST / "performance.html"
    intruder.write_text(_INTRUDER, encoding="utf-8")
    runtime.ledger.close()
    with serve(runtime.settings) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, which `make services` installs."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path is not None, "Chromium is missing: run `make services`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def login(site: Site, chromium: Browser) -> Iterator[BrowserContext]:
    """Log in through Airflow's own page, once; give the browser context that is logged in."""
    context = chromium.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(site.user)
    page.locator("input[type=password]").fill(site.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Browse").wait_for()
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(login: BrowserContext) -> Iterator[Page]:
    """Give a new page that is logged in."""
    page = login.new_page()
    yield page
    page.close()
