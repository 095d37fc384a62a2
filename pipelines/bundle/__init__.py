"""The model format: weights and a declarative description, read without running any code of the model.

A bundle is a folder of three files: ``model.json`` (:mod:`pipelines.bundle.description`),
``weights.safetensors`` (:mod:`pipelines.bundle.tensors`) and ``golden.parquet``, a few feature
rows with the training library's own predictions. :mod:`pipelines.bundle.files` reads and writes it.
"""
