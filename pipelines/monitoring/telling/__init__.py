"""Messages to people, and figures for Prometheus."""
