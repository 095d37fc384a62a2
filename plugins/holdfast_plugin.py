"""The one plugin that Airflow loads: Holdfast's pages, behind Airflow's login."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

_PREFIX = "/holdfast"


class HoldfastPlugin(AirflowPlugin):
    """Adds the pages of every night to Airflow's menu."""

    name = "holdfast"
    external_views = [
        {
            "name": "Holdfast",
            "href": f"{_PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "holdfast",
        }
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The app to mount; only the API server asks, and only it imports a web framework."""
        from holdfast_airflow.views.app import build_app

        return [{"app": build_app(), "url_prefix": _PREFIX, "name": "Holdfast"}]
