"""A bundle as one ONNX model, encoding and calibration included, all in float64.

The model takes each feature by its name: a number as double (n, 1), NaN where it is missing; a category as
string (n, 1), where it is missing the text that the model's metadata names (``missing_category``). It gives
``prediction``, double (n,), or ``probabilities``, double (n, K), of a multiclass task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pyarrow as pa
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pipelines.bundle.description import LinearArchitecture, NetworkArchitecture, TreesArchitecture
from pipelines.bundle.files import PREDICTION, Bundle, outputs_of
from pipelines.errors import EngineError, IntegrityError
from pipelines.features.encoding import CategoricalColumn, Encoding
from pipelines.registry.onnx_trees import tree_ensemble

PROBABILITIES = "probabilities"
# How far the model may be from the bundle's golden predictions.
ONNX_TOLERANCE = 1e-5

_OPSET, _ML_OPSET, _IR_VERSION = 20, 5, 10
_MISSING_CATEGORY = "missing_category"

Array = npt.NDArray[Any]


class _Graph:
    """Nodes and constants, as they are strung together; none is called like a feature."""

    def __init__(self, encoding: Encoding) -> None:
        self._taken = {column.name for column in encoding.numeric}
        self._taken |= {column.name for column in encoding.categorical}
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, *sources: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its result."""
        result = self.free(f"{operator.lower()}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(operator, list(sources), [result], domain=domain, **attributes))
        return result

    def constant(self, array: Array) -> str:
        """Add a constant; return its name."""
        name = self.free(f"constant_{len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def free(self, name: str) -> str:
        """Return a name, longer if a feature has it already."""
        return self.free(name + "_") if name in self._taken else name

    def doubles(self, values: Any) -> str:
        return self.constant(np.asarray(values, dtype=np.float64))


def to_onnx(bundle: Bundle) -> ModelProto:
    """Return a bundle as an ONNX model.

    Parameters
    ----------
    bundle : Bundle
        As read and checked; of any family and task.
    """
    graph, description = _Graph(bundle.description.encoding), bundle.description
    encoding, architecture = description.encoding, description.architecture
    codes = [_codes(graph, column) for column in encoding.categorical]
    if isinstance(architecture, TreesArchitecture):
        raw = _trees(graph, bundle.tensors, encoding, codes)
    elif isinstance(architecture, LinearArchitecture):
        raw = _linear(graph, bundle.tensors, _standard(graph, encoding, architecture.input_limit), codes)
    else:
        numbers = _standard(graph, encoding, architecture.input_limit)
        raw = _network(graph, bundle.tensors, [*numbers, *codes], architecture)
    model = _model(graph, _finish(graph, raw, bundle), bundle)
    onnx.checker.check_model(model)
    return model


def onnx_error(model: ModelProto, bundle: Bundle) -> float:
    """Return the largest difference between an ONNX model and a bundle's golden predictions.

    Relative to the prediction where that is above 1, as the scorer's own.

    Raises
    ------
    EngineError
        If onnxruntime can't run the model.
    """
    expected = outputs_of(bundle.golden, bundle.description)
    found = run_onnx(model, bundle.golden, bundle.description.encoding)
    return float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max())


def run_onnx(model: ModelProto, features: pa.Table, encoding: Encoding) -> npt.NDArray[np.float64]:
    """Return what onnxruntime makes of feature rows; as the scorer's ``predict``.

    Raises
    ------
    EngineError
        If onnxruntime can't run the model.
    """
    import onnxruntime

    missing = next(entry.value for entry in model.metadata_props if entry.key == _MISSING_CATEGORY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    given: dict[str, Array] = {
        column.name: features[column.name].cast(pa.float64()).to_numpy()[:, None]
        for column in encoding.numeric
    }
    for category in encoding.categorical:
        texts = features[category.name].cast(pa.string()).fill_null(missing).to_pylist()
        given[category.name] = np.array(texts, dtype=object)[:, None]
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        found: npt.NDArray[np.float64] = session.run(None, given)[0]
    except Exception as error:  # its own kinds of errors have no common parent
        raise EngineError(f"onnxruntime can't run the model that was exported: {error}") from error
    return found


def check_onnx(model: ModelProto, bundle: Bundle) -> float:
    """Return :func:`onnx_error`; refuse a model that is off by more than ``ONNX_TOLERANCE``.

    Raises
    ------
    IntegrityError
        If it is.
    """
    error = onnx_error(model, bundle)
    if not error <= ONNX_TOLERANCE:
        raise IntegrityError(
            f"The ONNX model does not repeat the golden predictions: off by up to {error:.3g}, "
            f"{ONNX_TOLERANCE:g} is allowed. Nothing was written."
        )
    return error


def _known_numbers(graph: _Graph, encoding: Encoding) -> tuple[str, str]:
    """Return the numbers side by side, and whether each is missing: not there, or infinite."""
    numbers = graph.add("Concat", *(column.name for column in encoding.numeric), axis=1)
    return numbers, graph.add("Or", graph.add("IsNaN", numbers), graph.add("IsInf", numbers))


def _codes(graph: _Graph, column: CategoricalColumn) -> str:
    """Return a category's codes, int64 (n,)."""
    # An encoder needs a key: where there is no level, every text becomes the one code that there is.
    levels, numbers = (column.levels, list(range(len(column.levels)))) if column.levels else (("",), [0])
    codes = graph.add(
        "LabelEncoder",
        column.name,
        domain="ai.onnx.ml",
        keys_strings=list(levels),
        values_int64s=numbers,
        default_int64=column.unknown_code,
    )
    return graph.add("Squeeze", codes, graph.constant(np.array([1], dtype=np.int64)))


def _standard(graph: _Graph, encoding: Encoding, limit: float) -> list[str]:
    """Return the standardised numbers, and whether each is missing, as doubles; nothing if there are none."""
    if not encoding.numeric:
        return []
    numbers, is_missing = _known_numbers(graph, encoding)
    mean, std = ([getattr(column, name) for column in encoding.numeric] for name in ("mean", "std"))
    standard = graph.add("Div", graph.add("Sub", numbers, graph.doubles(mean)), graph.doubles(std))
    clipped = graph.add("Clip", standard, graph.doubles(-limit), graph.doubles(limit))
    return [
        graph.add("Where", is_missing, graph.doubles(0.0), clipped),
        graph.add("Cast", is_missing, to=TensorProto.DOUBLE),
    ]


def _trees(graph: _Graph, tensors: Mapping[str, Array], encoding: Encoding, codes: list[str]) -> str:
    parts = []
    if encoding.numeric:
        numbers, is_missing = _known_numbers(graph, encoding)
        parts.append(graph.add("Where", is_missing, graph.doubles(np.nan), numbers))
    for column in codes:
        as_double = graph.add("Cast", column, to=TensorProto.DOUBLE)
        parts.append(graph.add("Unsqueeze", as_double, graph.constant(np.array([1], dtype=np.int64))))
    columns = graph.add("Concat", *parts, axis=1)
    total = graph.free("trees")
    operator, baseline = tree_ensemble(tensors, source=columns, result=total)
    if operator is None:
        # Every row has the same sums, but there must be as many as rows.
        n_columns = len(encoding.numeric) + len(codes)
        known = graph.add("IsNaN", columns)
        zeros = graph.add("Mul", graph.add("Cast", known, to=TensorProto.DOUBLE), graph.doubles(0.0))
        total = graph.add("MatMul", zeros, graph.doubles(np.zeros((n_columns, len(baseline)))))
        return graph.add("Add", total, graph.doubles(baseline))
    graph.nodes.append(operator)
    return graph.add("Add", total, graph.doubles(baseline))


def _linear(graph: _Graph, tensors: Mapping[str, Array], numbers: list[str], codes: list[str]) -> str:
    terms = [
        graph.add("MatMul", part, graph.doubles(tensors[name].T))
        for part, name in zip(numbers, ("numeric", "missing"), strict=False)
    ]
    terms += [
        graph.add("Gather", graph.doubles(tensors[f"level.{i}"]), column) for i, column in enumerate(codes)
    ]
    total = graph.doubles(tensors["bias"])
    for term in terms:
        total = graph.add("Add", term, total)
    return total


def _network(
    graph: _Graph, tensors: Mapping[str, Array], parts: list[str], architecture: NetworkArchitecture
) -> str:
    n_numbers = len(parts) - len(architecture.embedding_widths)
    inputs = parts[:n_numbers]
    for i, column in enumerate(parts[n_numbers:]):
        inputs.append(graph.add("Gather", graph.doubles(tensors[f"embedding.{i}"]), column))
    hidden = graph.add("Concat", *inputs, axis=1)
    n_layers = len(architecture.hidden_widths) + 1
    for j in range(n_layers):
        weight, bias = (graph.doubles(tensors[f"layer.{j}.{name}"]) for name in ("weight", "bias"))
        hidden = graph.add("Gemm", hidden, weight, bias, transB=1)
        hidden = hidden if j == n_layers - 1 else graph.add("Relu", hidden)
    scaled = graph.add("Mul", hidden, graph.doubles(architecture.target_std))
    return graph.add("Add", scaled, graph.doubles(architecture.target_mean))


def _finish(graph: _Graph, raw: str, bundle: Bundle) -> str:
    """Calibrate the sums, and return what they mean for the task."""
    description = bundle.description
    if (calibration := description.calibration) is not None:
        sloped = graph.add("Mul", raw, graph.doubles(calibration.slope))
        raw = graph.add("Add", sloped, graph.doubles(calibration.intercepts))
    if description.task == "multiclass":
        return graph.add("Softmax", raw, axis=1)
    single = graph.add("Squeeze", raw, graph.constant(np.array([1], dtype=np.int64)))
    return graph.add("Sigmoid", single) if description.task == "binary" else single


def _model(graph: _Graph, result: str, bundle: Bundle) -> ModelProto:
    description = bundle.description
    encoding, is_multiclass = description.encoding, description.task == "multiclass"
    name = graph.free(PROBABILITIES if is_multiclass else PREDICTION)
    graph.nodes.append(helper.make_node("Identity", [result], [name]))
    inputs = [(column.name, TensorProto.DOUBLE) for column in encoding.numeric]
    inputs += [(column.name, TensorProto.STRING) for column in encoding.categorical]
    shape: list[str | int | None] = ["n", description.n_outputs] if is_multiclass else ["n"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "holdfast",
            [helper.make_tensor_value_info(name, kind, ["n", 1]) for name, kind in inputs],
            [helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape)],
            initializer=graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR_VERSION,
        producer_name="holdfast",
    )
    helper.set_model_props(
        model,
        {
            "bundle_digest": bundle.digest,
            "task": description.task,
            "target": description.target,
            "classes": "\n".join(description.classes),
            _MISSING_CATEGORY: _no_level(encoding),
        },
    )
    return model


def _no_level(encoding: Encoding) -> str:
    """Return a short text that is no level of any column."""
    levels = {level for column in encoding.categorical for level in column.levels}
    text = ""
    while text in levels:
        text += "?"
    return text
