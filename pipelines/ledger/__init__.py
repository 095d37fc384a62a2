"""The decisions of record: what was decided, when, on what evidence, in one SQL database."""
