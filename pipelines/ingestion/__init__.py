"""Ingestion: sources of rows, the calendar that they are read by, and their cast to declared types."""
