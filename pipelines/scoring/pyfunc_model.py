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

from pipelines.bundle.files import PREDICTION, output_columns
from pipelines.features.target import likeliest_classes
from pipelines.scoring.scorer import Scorer


class BundleModel(PythonModel):
    """A bundle behind MLflow's interface: a frame of features in, predictions out."""

    def load_context(self, context: Any) -> None:
        """Open the bundle that lies in the model; CPU is enough for what people try by hand."""
        self._scorer = Scorer.open(Path(context.artifacts["bundle"]), device="cpu")

    # MLflow reads the signature, and leaves the context out where it is not asked for.
    def predict(  # type: ignore[override]
        self, model_input: pd.DataFrame
    ) -> npt.NDArray[np.float64] | pd.DataFrame:
        """Return the probability of 1 (task ``binary``) or the value (``regression``) of each row.

        Of task ``multiclass`` a frame: ``prediction``, the likeliest class, and ``probability_0`` to
        ``probability_<K-1>``.

        Parameters
        ----------
        model_input : pandas.DataFrame, shape (n, k)
            The feature columns by name; missing values and unseen categories are allowed.
        """
        predicted = self._scorer.predict(pa.Table.from_pandas(model_input, preserve_index=False))
        description = self._scorer.description
        if description.task != "multiclass":
            return predicted
        frame = pd.DataFrame(predicted, columns=list(output_columns(description)))
        likeliest = likeliest_classes(predicted, description.classes)
        frame.insert(0, PREDICTION, likeliest.to_pandas())
        return frame


set_model(BundleModel())
