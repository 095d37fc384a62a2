"""Holdfast's pages in Airflow's web interface."""
