"""How MLflow loads a bundle: the code of a model that is logged from code.

MLflow runs this file when somebody calls ``mlflow.pyfunc.load_model`` or serves the model. It needs
Holdfast installed beside it, whose scorer does the work; the nightly scoring never comes this way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from pipelines.scoring.scorer import Scorer


class BundleModel(PythonModel):
    """A bundle behind MLflow's interface: a frame of features in, predictions out."""

    def load_context(self, context: Any) -> None:
        """Open the bundle that lies in the model; CPU is enough for what people try by hand."""
        self._scorer = Scorer.open(Path(context.artifacts["bundle"]), device="cpu")

    # MLflow reads the signature, and leaves the context out where it is not asked for.
    def predict(self, model_input: pd.DataFrame) -> npt.NDArray[np.float64]:  # type: ignore[override]
        """Return the probability of 1 (task ``binary``) or the value (``regression``) of each row.

        Parameters
        ----------
        model_input : pandas.DataFrame, shape (n, k)
            The feature columns by name; missing values and unseen categories are allowed.
        """
        return self._scorer.predict(pa.Table.from_pandas(model_input, preserve_index=False))


set_model(BundleModel())
