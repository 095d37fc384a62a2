"""``python -m pipelines.cli``: the command, for stages of dvc.yaml."""

from pipelines.cli import main

main()
