"""The logic of Holdfast: every step of the nightly loop, without Airflow."""
