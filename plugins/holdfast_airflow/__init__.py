"""Airflow's door to Holdfast: operators, sensors, triggers, notifiers and views over the steps in ``pipelines``."""
