"""Validation: suites of expectations, run by Great Expectations, and what follows from them.

Great Expectations reads its environment and starts to log at import, so both are set here, before
any module of this package can import it.
"""

import logging
import os

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
# It announces by the dozen which of its own functions it does not document.
logging.getLogger("great_expectations._docs_decorators").setLevel(logging.WARNING)
