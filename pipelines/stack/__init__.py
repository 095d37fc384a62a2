"""The embedded stack: Airflow and MLflow's page on one machine, started and stopped as one."""

from pipelines.stack.control import down, run_airflow, up
from pipelines.stack.report import status
from pipelines.stack.tail import logs

__all__ = ["down", "logs", "run_airflow", "status", "up"]
