-- One server, one database a concern: Airflow's (made by the image), the ledger, MLflow's.
CREATE DATABASE ledger OWNER holdfast;
CREATE DATABASE mlflow OWNER holdfast;
