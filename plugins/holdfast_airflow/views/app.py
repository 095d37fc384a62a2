"""The web app that Airflow mounts under ``/holdfast``: every route is behind Airflow's login."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse

from holdfast_airflow.views import models as model_pages
from holdfast_airflow.views import pages
from holdfast_airflow.views.open_runtime import OpenRuntime
from holdfast_airflow.views.reports import MEDIA_TYPES, SCRIPTLESS_PAGES, find_report
from pipelines.config import Settings, load_settings
from pipelines.errors import HoldfastError

_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
# Our own pages need no script, so none runs. Their links keep our origin, and with it the login.
_PLAIN = _NOTHING + "style-src 'unsafe-inline'; img-src data:"
# Pages that ask something of whoever looks: of us, and of nobody else.
_ASKING = _PLAIN.replace("form-action 'none'", "form-action 'self'")
# The frame around a page that a library drew: ours too, and it may show that one page.
_FRAME = _NOTHING + "style-src 'unsafe-inline'; frame-src 'self'"
# Pages that libraries draw may print values of the data raw, and need scripts to draw: they get an origin
# of their own, without our cookies, and can load nothing and send nothing.
_SANDBOXED = (
    "sandbox allow-scripts; " + _NOTHING + "script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)

Night = Annotated[str | None, Query(max_length=10)]
Moment = Annotated[str | None, Query(max_length=60)]
RowId = Annotated[str | None, Query(max_length=model_pages.MAX_ROW_ID_CHARS)]
FirstColumn = Annotated[int, Query(alias="from", ge=0, le=100_000)]


def build_app(settings: Settings | None = None) -> FastAPI:
    """Return the app.

    Parameters
    ----------
    settings : Settings, optional
        Where the record and the reports are; what the environment says by default.
    """
    settings = load_settings() if settings is None else settings
    open_runtime, reports = OpenRuntime(settings), settings.reports
    # A mounted app is open to anyone unless it says otherwise; so are the pages about its own routes.
    app = FastAPI(
        title="Holdfast", dependencies=[Depends(get_user)], openapi_url=None, docs_url=None, redoc_url=None
    )

    @app.get("/", response_class=HTMLResponse)
    def health() -> HTMLResponse:
        return _html(pages.health(open_runtime()))

    @app.get("/drift/{dataset}", response_class=HTMLResponse)
    def drift(dataset: str, last: Night = None, first_column: FirstColumn = 0) -> HTMLResponse:
        return _html(pages.drift(open_runtime(), dataset, last, first_column))

    @app.get("/drift/{dataset}/{night}/{column}", response_class=HTMLResponse)
    def column(dataset: str, night: str, column: str) -> HTMLResponse:
        return _html(pages.column(open_runtime(), dataset, night, column))

    @app.get("/night/{dataset}/{night}", response_class=HTMLResponse)
    def night(dataset: str, night: str) -> HTMLResponse:
        return _html(pages.night(open_runtime(), dataset, night))

    @app.get("/nights/{dataset}", response_class=HTMLResponse)
    def nights(dataset: str, before: Night = None) -> HTMLResponse:
        return _html(pages.nights(open_runtime(), dataset, before))

    @app.get("/models/{dataset}", response_class=HTMLResponse)
    def models(dataset: str, at: Moment = None) -> HTMLResponse:
        return _html(model_pages.models(open_runtime(), dataset, at), _ASKING)

    @app.get("/models/{dataset}/{version}", response_class=HTMLResponse)
    def model(dataset: str, version: str) -> HTMLResponse:
        return _html(model_pages.model(open_runtime(), dataset, version))

    @app.get("/rows/{dataset}", response_class=HTMLResponse)
    def row(dataset: str, row: RowId = None) -> HTMLResponse:
        found = model_pages.row(open_runtime(), dataset, row)
        if found is None:
            return _html(None)
        page, is_found = found
        return HTMLResponse(page, status_code=200 if is_found else 404, headers=_headers(_ASKING))

    @app.get("/show/{dataset}/{night}/{name}", response_class=HTMLResponse)
    def show(dataset: str, night: str, name: str) -> HTMLResponse:
        is_there = find_report(reports, f"{dataset}/{night}/{name}") is not None
        return _html(pages.report_frame(dataset, night, name) if is_there else None, _FRAME)

    @app.get("/reports/{path:path}", response_class=FileResponse)
    def report(path: str) -> FileResponse:
        found = find_report(reports, path)
        if found is None:
            raise HTTPException(404, "There is no such report.")
        policy = _PLAIN if found.name in SCRIPTLESS_PAGES else _SANDBOXED
        return FileResponse(found, media_type=MEDIA_TYPES[found.suffix], headers=_headers(policy))

    @app.get("/{rest:path}", response_class=HTMLResponse)
    def nothing() -> HTMLResponse:
        # Behind the login as well: a stranger learns not even which addresses there are.
        return _html(None)

    @app.exception_handler(HoldfastError)
    def explain(_: Request, error: Exception) -> HTMLResponse:
        # The record can't be read at the moment: say why, where a person looks for it.
        return HTMLResponse(pages.trouble(str(error)), status_code=503, headers=_headers(_PLAIN))

    return app


def _html(page: str | None, policy: str = _PLAIN) -> HTMLResponse:
    if page is None:
        return HTMLResponse(pages.missing(), status_code=404, headers=_headers(_PLAIN))
    return HTMLResponse(page, headers=_headers(policy))


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # A night that is run again replaces its pages.
        "Cache-Control": "private, no-cache",
    }
