"""In a real browser: from the login to the reason of last night's alarm, and nothing of the data runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from api_server import Site
from challengers_on_record import GAIN, REFUSED, REJECTED
from playwright.sync_api import Browser, BrowserContext, Frame, Page
from watched_world import DATASET, HOSTILE, LAST, REASON

from pipelines.pages.places import column_id

NIGHT = f"/holdfast/night/{DATASET}/{LAST}"
MAP = f"/holdfast/drift/{DATASET}"
REPORT = f"/holdfast/show/{DATASET}/{LAST}/drift.html"
MODELS = f"/holdfast/models/{DATASET}"
ROW_ID = f"{LAST}|{HOSTILE}"
ROWS = f"/holdfast/rows/{DATASET}"
MODEL_PAGES = (
    MODELS,
    f"{MODELS}?at={LAST}",
    f"{MODELS}/3",
    f"{MODELS}/{REFUSED}",
    f"{MODELS}/{REJECTED}",
    ROWS,
    f"{ROWS}?row={quote(ROW_ID)}",
)
PAGES = (
    "/holdfast/",
    MAP,
    f"{MAP}/{LAST}/temp",
    NIGHT,
    f"/holdfast/nights/{DATASET}",
    *MODEL_PAGES,
)
ADDRESSES = (
    *PAGES,
    REPORT,
    f"/holdfast/reports/{DATASET}/{LAST}/index.html",
    f"/holdfast/reports/{DATASET}/{LAST}/drift.json",
    f"/holdfast/reports/{DATASET}/{LAST}/drift.html",
)

CHALLENGED = "beats_champion"
# What a page's policy forbids is said on its console.
_TELL_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', event => console.error(event.violatedDirective))
"""


def test_from_the_menu_to_the_reason_of_last_nights_alarm_and_to_the_report(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Holdfast").click()
    shell = page.frame_locator("iframe")
    shell.get_by_role("heading", name="Health").wait_for()
    assert "Drift, confirmed" in shell.locator("section").inner_text()
    shell.get_by_role("link", name="Drift", exact=True).click()
    shell.get_by_role("heading", name="Columns by nights").wait_for()
    shell.get_by_role("link", name=re.compile(f"^late_rate_7d {LAST}: drifted")).click()
    shell.get_by_role("heading", name="late_rate_7d").wait_for()
    told = shell.locator("main").inner_text()
    assert REASON in told
    assert "34% of the champion’s skill" in told
    assert "A new model is asked for" in told
    shell.get_by_role("link", name="Evidently: drift").click()
    report = shell.frame_locator("iframe")
    report.get_by_text("Dataset Drift").first.wait_for()


def test_the_report_draws_itself_in_an_origin_of_its_own(page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(REPORT)
    report = _report(page)
    report.get_by_text("late_rate_7d").first.wait_for()
    assert report.evaluate("self.origin") == "null"
    assert (
        report.evaluate("(() => { try { return document.cookie } catch { return 'refused' } })()")
        == "refused"
    )
    assert not [error for error in errors if "localStorage" not in error]


def test_a_column_that_is_named_like_a_script_runs_nothing(page: Page) -> None:
    spoken: list[str] = []
    page.on("dialog", lambda dialog: (spoken.append(dialog.message), dialog.dismiss()))
    for address in (MAP, NIGHT, f"{MAP}/{LAST}/{column_id(HOSTILE)}", REPORT):
        page.goto(address)
        if address == REPORT:
            _report(page).get_by_text("late_rate_7d").first.wait_for()
        else:
            assert HOSTILE in page.locator("main").inner_html().replace("&lt;", "<").replace("&gt;", ">")
        assert "owned" not in [frame.evaluate("document.title") for frame in page.frames]
    assert spoken == []


def test_a_script_that_got_into_a_report_reaches_nothing(page: Page) -> None:
    address = f"/holdfast/show/{DATASET}/{LAST}/performance.html"
    page.goto(address)
    page.frame_locator("iframe").locator("body[data-tried]").wait_for()
    tried = json.loads(_report(page).evaluate("document.body.dataset.tried"))
    assert set(tried) == {"cookie", "page", "leave", "ask", "tell"}
    assert set(tried.values()) == {"refused"}
    assert page.title() != "owned"
    assert page.url.endswith(address)


def test_from_the_menu_to_the_champion_and_to_why_a_challenger_was_refused(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Holdfast").click()
    shell = page.frame_locator("iframe")
    shell.get_by_role("link", name="Models", exact=True).click()
    shell.get_by_role("heading", name=f"Models of {DATASET}").wait_for()
    versions = shell.locator("table").last
    assert f"refused by no_slice_worse, {CHALLENGED}" in versions.inner_text()
    assert "passed, rejected by ada" in versions.inner_text()
    shell.locator("dl.facts").first.get_by_role("link", name="v3").click()
    shell.get_by_role("heading", name=f"{DATASET} v3").wait_for()
    shell.get_by_role("link", name="Models", exact=True).click()
    versions.get_by_role("link", name=f"v{REFUSED}", exact=True).click()
    shell.get_by_role("heading", name=f"{DATASET} v{REFUSED}").wait_for()
    assert f"{CHALLENGED} ({GAIN})" in shell.locator(".verdict.critical").first.inner_text()
    found = shell.get_by_role("row", name=f"FAIL {CHALLENGED}")
    assert GAIN in found.inner_text()
    evidence = shell.get_by_role("row", name=f"{CHALLENGED} p_value")
    assert evidence.inner_text().endswith("0.37")


def test_a_row_is_found_by_its_id_and_leads_to_the_model_that_scored_it(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Holdfast").click()
    shell = page.frame_locator("iframe")
    shell.get_by_role("link", name="Models", exact=True).click()
    shell.get_by_label("Why this prediction?").fill(ROW_ID)
    shell.get_by_label("Why this prediction?").press("Enter")
    shell.get_by_role("heading", name=f"{DATASET} {ROW_ID}").wait_for()
    assert "0.625" in shell.locator("dl.facts").first.inner_text()
    shell.get_by_label("Why this prediction?").fill(f"{LAST}|no such row")
    shell.get_by_role("button", name="Show").click()
    shell.get_by_role("heading", name=f"No such row of {DATASET}").wait_for()
    page.go_back()
    shell.locator("dl.facts").first.get_by_role("link", name="v3").click()
    shell.get_by_role("heading", name=f"{DATASET} v3").wait_for()


def test_who_was_champion_is_asked_on_the_page(page: Page) -> None:
    page.goto(MODELS)
    page.get_by_label("Who was champion?").fill(LAST)
    page.get_by_role("button", name="Show").first.click()
    page.get_by_role("heading", name=f"Who was champion at {LAST}?").wait_for()
    assert page.url.endswith(f"?at={LAST}")
    assert "Better than none by 0.21 AUC." in page.locator("main").inner_text()


@pytest.mark.parametrize(
    "address",
    [
        *MODEL_PAGES,
        f"{MODELS}?at={quote(HOSTILE)}",
        f"{ROWS}?row={quote(f'{LAST}|x{HOSTILE}')}",
        f"/holdfast/models/{quote(HOSTILE, safe='')}",
        f"{MODELS}/{quote(HOSTILE, safe='')}",
    ],
)
def test_nothing_that_the_data_says_runs_on_a_page_of_models(page: Page, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.add_init_script(_TELL_VIOLATIONS)
    answer = page.goto(address, wait_until="networkidle")
    assert answer is not None
    assert page.title().startswith("Holdfast")
    assert page.locator("script").count() == 0
    # A browser says of itself that a page is missing.
    assert [text for text in said if answer.ok or "404" not in text] == []


def test_without_login_every_address_is_refused(chromium: Browser, site: Site) -> None:
    stranger = chromium.new_context(base_url=site.url)
    for address in ADDRESSES:
        answer = stranger.request.get(address, max_redirects=0)
        assert answer.status in (401, 403), address
        assert DATASET not in answer.text()
    stranger.close()


def test_the_map_is_used_by_keyboard_alone(page: Page) -> None:
    page.goto(MAP)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label')") or ""
        if name.startswith(f"All jointly {LAST}"):
            break
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/night/**")


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, login: BrowserContext) -> Iterator[Page]:
    page = login.new_page()
    page.emulate_media(color_scheme=request.param)
    yield page
    page.close()


# The contrast of each text with the first ground below it that is not see-through, as WCAG defines it.
_CONTRASTS = """
() => {
  const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const found = numbers(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const words = text.textContent.trim(), node = text.parentElement;
    if (!words || node.closest('svg')) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    // A mark is a picture, not text: it needs less.
    if (contrast < ('·○▲◆◇●–'.includes(words) ? 3 : 4.5)) poor.push([words.slice(0, 40), contrast]);
  }
  return poor;
}
"""


@pytest.mark.parametrize("address", PAGES)
def test_text_can_be_read_in_light_and_in_dark(themed: Page, address: str) -> None:
    themed.goto(address)
    assert themed.evaluate(_CONTRASTS) == []


def test_pages_follow_the_scheme(login: BrowserContext) -> None:
    page, grounds = login.new_page(), []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto("/holdfast/")
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(247, 248, 249)", "rgb(17, 21, 26)"]
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("address", PAGES)
def test_no_page_scrolls_sideways(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_is_loaded_from_elsewhere(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for address in (*PAGES, REPORT):
        page.goto(address, wait_until="networkidle")
    assert len(asked) == len(PAGES) + 2, "a page is one file; the report's frame holds another"
    assert all(url.startswith(site.url) for url in asked)


def _report(page: Page) -> Frame:
    frame = next(frame for frame in page.frames if "/reports/" in frame.url)
    frame.wait_for_load_state()
    return frame
