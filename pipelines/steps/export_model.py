"""Write a model in a format that others read."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from pipelines.bundle.files import read_bundle
from pipelines.errors import ConfigError
from pipelines.records.base import Record
from pipelines.registry.onnx_export import check_onnx, to_onnx
from pipelines.runtime import Runtime
from pipelines.steps.show import resolve_version
from pipelines.storage.whole_files import replace_file


class OnnxExport(Record):
    """A model that was written as ONNX.

    Parameters
    ----------
    bundle_digest, onnx_digest : str
        Of the model that was read, and of the file that was written (SHA-256, hex).
    parity_error : float
        How far the ONNX model is from the golden predictions at most, relative where they are above 1.
    """

    dataset: str
    model_version: str
    path: str
    bundle_digest: str
    onnx_digest: str
    n_bytes: int
    n_golden_rows: int
    parity_error: float


def export_onnx(dataset: str, reference: str, *, target: Path, runtime: Runtime) -> OnnxExport:
    """Write a model version as one ONNX file; a repeat gives the same bytes.

    Parameters
    ----------
    reference : str
        ``champion`` (by the ledger), ``challenger`` (the newest version), or a version.
    target : pathlib.Path
        The file to write, whole or not at all.

    Raises
    ------
    NotReadyError
        If there is no champion or challenger yet.
    ConfigError
        If there is no such version, or the file can't be written.
    IntegrityError
        If the registry's bytes are not those that were trained, or the ONNX model does not repeat the
        golden predictions to 1e-5.
    EngineError
        If onnxruntime can't run the model.
    """
    version = resolve_version(dataset, reference, runtime=runtime)
    bundle = read_bundle(runtime.registry.bundle(dataset, version))
    model = to_onnx(bundle)
    error = check_onnx(model, bundle)
    content = model.SerializeToString(deterministic=True)
    _write_whole(content, target)
    return OnnxExport(
        dataset=dataset,
        model_version=version,
        path=str(target),
        bundle_digest=bundle.digest,
        onnx_digest=sha256(content).hexdigest(),
        n_bytes=len(content),
        n_golden_rows=bundle.golden.num_rows,
        parity_error=error,
    )


def render_export(exported: OnnxExport) -> str:
    """Say in a sentence what was written."""
    return (
        f"{exported.dataset} v{exported.model_version} is written to {exported.path} "
        f"({exported.n_bytes:,} bytes, sha256 {exported.onnx_digest[:16]}): within "
        f"{exported.parity_error:.1e} of its {exported.n_golden_rows} golden predictions."
    )


def _write_whole(content: bytes, target: Path) -> None:
    try:
        replace_file(target, content)
    except OSError as error:
        raise ConfigError(f"Can't write {target}: {error.strerror}. Choose another file.") from error
