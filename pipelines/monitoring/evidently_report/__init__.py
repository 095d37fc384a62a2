"""Evidently's report, which shows our verdict and, beside it, what its own default rule would say."""
