"""The web app that Airflow mounts under ``/holdfast``: every route is behind Airflow's login."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import FileResponse, HTMLResponse

from holdfast_airflow.views.pages import nights_page
from holdfast_airflow.views.reports import (
    MEDIA_TYPES,
    SCRIPTLESS_PAGES,
    datasets_with_reports,
    find_report,
    list_nights,
)
from pipelines.config import load_settings

NIGHTS_A_PAGE = 30

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
# Our own pages need no script, so none runs. Their links keep our origin, and with it the login.
_PLAIN = _NOTHING + "style-src 'unsafe-inline'; img-src data:"
# Pages that libraries draw may print values of the data raw, and need scripts to draw: they get an origin
# of their own, without our cookies, and can load nothing and send nothing.
_SANDBOXED = (
    "sandbox allow-scripts; " + _NOTHING + "script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


def build_app(reports: Path | None = None) -> FastAPI:
    """Return the app.

    Parameters
    ----------
    reports : Path, optional
        The folder of all reports; where the settings say by default.
    """
    root = load_settings().reports if reports is None else reports
    # A mounted app is open to anyone unless it says otherwise; so are the pages about its own routes.
    app = FastAPI(
        title="Holdfast", dependencies=[Depends(get_user)], openapi_url=None, docs_url=None, redoc_url=None
    )

    @app.get("/", response_class=HTMLResponse)
    def nights(
        dataset: Annotated[str | None, Query(max_length=80)] = None,
        before: Annotated[str | None, Query(max_length=10)] = None,
    ) -> HTMLResponse:
        known = datasets_with_reports(root)
        shown = known if dataset is None else [name for name in known if name == dataset]
        found = {name: list_nights(root, name, before=before, limit=NIGHTS_A_PAGE) for name in shown}
        return HTMLResponse(nights_page(found, page_size=NIGHTS_A_PAGE), headers=_headers(_PLAIN))

    @app.get("/reports/{path:path}", response_class=FileResponse)
    def report(path: str) -> FileResponse:
        found = find_report(root, path)
        if found is None:
            raise HTTPException(404, "There is no such report.")
        policy = _PLAIN if found.name in SCRIPTLESS_PAGES else _SANDBOXED
        return FileResponse(found, media_type=MEDIA_TYPES[found.suffix], headers=_headers(policy))

    return app


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # A night that is run again replaces its pages.
        "Cache-Control": "private, no-cache",
    }
