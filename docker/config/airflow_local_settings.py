"""Pay the heavy imports once, in the scheduler and in each Celery worker, before they fork."""

from holdfast_airflow.preload import preload_in_parents

preload_in_parents()
