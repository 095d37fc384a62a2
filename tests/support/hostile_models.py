"""Model directories that mean harm: each a bundle that was good, and what an attacker made of it.

Code that one of them brings along would make a folder of the name ``CANARY`` beside the directory.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from pipelines.bundle.files import DESCRIPTION_FILE, GOLDEN_FILE, WEIGHTS_FILE

CANARY = "canary"


class HostileModel(NamedTuple):
    """One harm.

    Parameters
    ----------
    id : str
        What it is.
    family : str
        Of the bundle to harm: ``trees``, ``network`` or ``linear``.
    harm : callable
        Takes the bundle's folder, and the path that its code would write to.
    names : str
        What the refusal must name: the file, tensor or key.
    """

    id: str
    family: str
    harm: Callable[[Path, Path], None]
    names: str


class _Bomb:
    """Writes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.canary,)


def _code(canary: Path) -> str:
    return f"import os\nos.mkdir({str(canary)!r})\n"


def _beside(name: str, *, pickled: bool = True) -> Callable[[Path, Path], None]:
    def harm(folder: Path, canary: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(_Bomb(canary)) if pickled else _code(canary).encode())

    return harm


def _mlmodel(folder: Path, canary: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text(_code(canary))
    flavour = {"loader_module": "evil", "code": "code", "python_version": "3.11.0"}
    (folder / "MLmodel").write_text(json.dumps({"flavors": {"python_function": flavour}}))


def _whole_mlflow_model(folder: Path, canary: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    _mlmodel(folder, canary)
    (folder / "python_model.pkl").write_bytes(pickle.dumps(_Bomb(canary)))


def _instead(name: str) -> Callable[[Path, Path], None]:
    def harm(folder: Path, canary: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(_Bomb(canary)))

    return harm


def _torch_zip(folder: Path, canary: Path) -> None:
    """Put an archive as torch.save writes it, whose pickle runs code, in the place of the weights."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb(canary)))
    (folder / WEIGHTS_FILE).write_bytes(buffer.getvalue())


def _zip_bomb(folder: Path, _canary: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", b"\0" * 200_000_000)
    (folder / WEIGHTS_FILE).write_bytes(buffer.getvalue())


def _object_array(folder: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Bomb(canary)], dtype=object), allow_pickle=True)
    (folder / WEIGHTS_FILE).write_bytes(buffer.getvalue())


def _link_out(name: str) -> Callable[[Path, Path], None]:
    def harm(folder: Path, canary: Path) -> None:
        outside = canary.with_name("outside")
        shutil.copy(folder / name, outside)
        (folder / name).unlink()
        (folder / name).symlink_to(outside)

    return harm


def _pipe(folder: Path, _canary: Path) -> None:
    (folder / GOLDEN_FILE).unlink()
    os.mkfifo(folder / GOLDEN_FILE)


def _edit(change: Callable[[dict[str, Any], Path], None]) -> Callable[[Path, Path], None]:
    def harm(folder: Path, canary: Path) -> None:
        content = json.loads((folder / DESCRIPTION_FILE).read_text())
        change(content, canary)
        (folder / DESCRIPTION_FILE).write_text(json.dumps(content))

    return harm


def _loader_module(content: dict[str, Any], canary: Path) -> None:
    content["loader_module"] = f"os; os.mkdir({str(canary)!r})"


def _outside_weights(content: dict[str, Any], _canary: Path) -> None:
    content["architecture"]["weights"] = "../../../../etc/passwd"


def _python_family(content: dict[str, Any], canary: Path) -> None:
    content["architecture"] = {"family": "python", "code": _code(canary)}


def _nan_mean(content: dict[str, Any], _canary: Path) -> None:
    content["encoding"]["numeric"][0]["mean"] = float("nan")


def _huge_count(content: dict[str, Any], _canary: Path) -> None:
    content["architecture"]["n_nodes"] = 10**18


def _backwards(content: dict[str, Any], _canary: Path) -> None:
    content["calibration"] = {"slope": -1.0, "intercepts": [0.0]}


def _deep(folder: Path, _canary: Path) -> None:
    (folder / DESCRIPTION_FILE).write_text('{"architecture":' * 100_000)


def _tensors(change: Callable[[dict[str, Any]], None]) -> Callable[[Path, Path], None]:
    def harm(folder: Path, _canary: Path) -> None:
        tensors = load_file(folder / WEIGHTS_FILE)
        change(tensors)
        save_file(tensors, folder / WEIGHTS_FILE)

    return harm


def _nan_weights(tensors: dict[str, Any]) -> None:
    tensors["layer.0.weight"][0, 0] = np.nan


def _infinite_weights(tensors: dict[str, Any]) -> None:
    tensors["numeric"][0, 0] = np.inf


def _cycle(tensors: dict[str, Any]) -> None:
    # The root's right child is a node that has the root's own subtree above it.
    inner = np.flatnonzero(tensors["right"])
    tensors["right"][inner[1]] = inner[0] - inner[1]


def _self_loop(tensors: dict[str, Any]) -> None:
    tensors["right"][0] = 1


def _far_feature(tensors: dict[str, Any]) -> None:
    tensors["feature"][tensors["feature"] >= 0] = 2_000_000_000


def _far_row(tensors: dict[str, Any]) -> None:
    tensors["category_row"][tensors["category_row"] >= 0] = 1_000_000


def _wrong_dtype(tensors: dict[str, Any]) -> None:
    tensors["level.0"] = tensors["level.0"].astype(np.float16)


def _declared(shape: list[int], n_bytes: int) -> Callable[[Path, Path], None]:
    """Write weights whose header declares a shape, with next to nothing behind it."""

    def harm(folder: Path, _canary: Path) -> None:
        header = json.dumps({"bias": {"dtype": "F64", "shape": shape, "data_offsets": [0, n_bytes]}}).encode()
        (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)

    return harm


def _endless_header(folder: Path, _canary: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", 2**63) + b"{}")


def _sparse_giant(folder: Path, _canary: Path) -> None:
    with (folder / WEIGHTS_FILE).open("r+b") as file:
        file.truncate(2**40)


def _golden_bomb(folder: Path, _canary: Path) -> None:
    """Put in golden rows that are far more in memory than in the file."""
    schema = pq.read_schema(folder / GOLDEN_FILE)
    ones = pa.table({name: pa.nulls(2_000_000, schema.field(name).type) for name in schema.names})
    pq.write_table(ones, folder / GOLDEN_FILE, compression="zstd")


def _golden_giant_cell(folder: Path, _canary: Path) -> None:
    golden = pq.read_table(folder / GOLDEN_FILE)
    index = golden.column_names.index("site")
    # Once in the file, and once a row in memory.
    giant = pa.DictionaryArray.from_arrays(np.zeros(golden.num_rows, dtype=np.int32), ["x" * 50_000_000])
    pq.write_table(golden.set_column(index, "site", giant), folder / GOLDEN_FILE, compression="zstd")


def _golden_pickled_type(folder: Path, canary: Path) -> None:
    """Declare the type of a column by a pickle, as old readers of Parquet would load it."""
    golden = pq.read_table(folder / GOLDEN_FILE)
    index = golden.column_names.index("x")
    field = golden.schema.field("x").with_metadata(
        {
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(_Bomb(canary), 0).decode("latin1"),
        }
    )
    noise = pa.array(["not a number"] * golden.num_rows)
    field = field.with_type(pa.string())
    pq.write_table(golden.set_column(index, field, noise), folder / GOLDEN_FILE)


def hostile_models() -> list[HostileModel]:
    """Return all of them."""
    return [
        HostileModel("pickle-beside", "trees", _beside("model.pkl"), "model.pkl"),
        HostileModel("code-beside", "trees", _beside("__init__.py", pickled=False), "__init__.py"),
        HostileModel("code-folder", "trees", _beside("code/evil.py", pickled=False), "code"),
        HostileModel("path-file-beside", "trees", _beside("evil.pth", pickled=False), "evil.pth"),
        HostileModel("mlmodel-with-loader-module", "trees", _mlmodel, "MLmodel"),
        HostileModel("mlflow-model-with-python-function", "trees", _whole_mlflow_model, "MLmodel"),
        HostileModel("pickle-for-weights", "network", _instead(WEIGHTS_FILE), WEIGHTS_FILE),
        HostileModel("pickle-for-description", "linear", _instead(DESCRIPTION_FILE), DESCRIPTION_FILE),
        HostileModel("pickle-for-golden-rows", "linear", _instead(GOLDEN_FILE), GOLDEN_FILE),
        HostileModel("torch-archive-for-weights", "network", _torch_zip, WEIGHTS_FILE),
        HostileModel("object-array-for-weights", "linear", _object_array, WEIGHTS_FILE),
        HostileModel("zip-bomb-for-weights", "network", _zip_bomb, WEIGHTS_FILE),
        HostileModel("weights-link-out", "linear", _link_out(WEIGHTS_FILE), WEIGHTS_FILE),
        HostileModel("description-links-out", "trees", _link_out(DESCRIPTION_FILE), DESCRIPTION_FILE),
        HostileModel("pipe-for-golden-rows", "trees", _pipe, GOLDEN_FILE),
        HostileModel("loader-module-in-description", "linear", _edit(_loader_module), "loader_module"),
        HostileModel("weights-at-another-path", "network", _edit(_outside_weights), "weights"),
        HostileModel("family-of-python-code", "linear", _edit(_python_family), "architecture"),
        HostileModel("nan-in-the-encoding", "linear", _edit(_nan_mean), "encoding.numeric.0.mean"),
        HostileModel("huge-count-of-nodes", "trees", _edit(_huge_count), "n_nodes"),
        HostileModel("calibration-that-turns-the-order", "linear", _edit(_backwards), "calibration.slope"),
        HostileModel("endlessly-nested-description", "trees", _deep, DESCRIPTION_FILE),
        HostileModel("nan-weights", "network", _tensors(_nan_weights), "layer.0.weight"),
        HostileModel("infinite-weights", "linear", _tensors(_infinite_weights), "numeric"),
        HostileModel("cyclic-tree", "trees", _tensors(_cycle), "preorder"),
        HostileModel("tree-that-is-its-own-child", "trees", _tensors(_self_loop), "preorder"),
        HostileModel("split-by-a-column-far-out", "trees", _tensors(_far_feature), "column"),
        HostileModel("split-by-a-row-far-out", "trees", _tensors(_far_row), "row of categories"),
        HostileModel("weights-of-another-type", "linear", _tensors(_wrong_dtype), "level.0"),
        HostileModel("huge-declared-shape", "linear", _declared([10**12], 8 * 10**12), WEIGHTS_FILE),
        HostileModel("overflowing-declared-shape", "linear", _declared([2**40, 2**40], 8), WEIGHTS_FILE),
        HostileModel("endless-header", "linear", _endless_header, WEIGHTS_FILE),
        HostileModel("terabyte-of-nothing", "network", _sparse_giant, WEIGHTS_FILE),
        HostileModel("golden-rows-that-unfold", "trees", _golden_bomb, GOLDEN_FILE),
        HostileModel("golden-cell-that-unfolds", "trees", _golden_giant_cell, GOLDEN_FILE),
        HostileModel("golden-column-of-a-pickled-type", "trees", _golden_pickled_type, "golden rows"),
    ]
