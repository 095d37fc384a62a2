"""Airflow's door to Holdfast: operators, sensors, triggers and views over the steps in ``pipelines``."""
