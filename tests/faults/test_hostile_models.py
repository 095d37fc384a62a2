"""Model directories that mean harm: refused by name, none of their code run, in little time and memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile_models
import pytest
from hostile_models import CANARY

from pipelines.config import PROJECT_ROOT
from pipelines.errors import IntegrityError
from pipelines.scoring.scorer import Scorer

ALL = hostile_models.hostile_models()
GOLDEN = PROJECT_ROOT / "tests" / "golden"
MAX_BYTES = 900_000_000

# Opens every directory as scoring does, and tells what became of each, and what was heard meanwhile.
# The audit hook hears of all that runs code, or opens or connects to something outside.
_OPEN_ALL = """
import json, sys
from pathlib import Path

from pipelines.bundle.files import read_bundle
from pipelines.errors import IntegrityError
from pipelines.scoring.scorer import Scorer

Scorer.open(Path(sys.argv[2]), "cpu")  # all that a good model needs is imported now
RUNS_CODE = ("exec", "compile", "import", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
             "pickle.find_class", "marshal.loads", "socket.connect", "ctypes.dlopen", "os.mkdir")
heard, told = [], {}
def listen(event, arguments):
    # A number is a file that is open already.
    is_outside = event == "open" and isinstance(arguments[0], (str, bytes)) and root not in str(arguments[0])
    if event in RUNS_CODE or is_outside:
        heard.append([event, str(arguments)[:200]])
def peak_bytes():
    # Its own: what getrusage tells begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
root = sys.argv[1]
sys.addaudithook(listen)
for folder in sorted(Path(root).iterdir()):
    heard.clear()
    try:
        Scorer.open(folder / "model", "cpu")
        became = "opened"
    except IntegrityError as error:
        became = str(error)
    except Exception as error:
        became = f"{type(error).__name__}: {error}"
    told[folder.name] = [became, list(heard), peak_bytes()]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a folder for each harm, in which ``model`` is the directory."""
    root = tmp_path_factory.mktemp("hostile")
    for hostile in ALL:
        folder = root / hostile.id / "model"
        shutil.copytree(GOLDEN / f"{hostile.family}-binary", folder)
        hostile.harm(folder, root / hostile.id / CANARY)
    return root


@pytest.fixture(scope="module")
def told(directories: Path) -> dict[str, Any]:
    """Return, for each harm, what became of it in one fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN_ALL, str(directories), str(GOLDEN / "trees-binary")],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=directories,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_there_are_more_than_twenty() -> None:
    assert len({hostile.id for hostile in ALL}) == len(ALL) >= 20


@pytest.mark.parametrize("hostile", [pytest.param(hostile, id=hostile.id) for hostile in ALL])
def test_a_hostile_directory_is_refused_by_name_and_runs_no_code(
    hostile: hostile_models.HostileModel, directories: Path, told: dict[str, Any]
) -> None:
    message, heard, peak_bytes = told[hostile.id]
    assert hostile.names in message
    assert not message.startswith(("opened", "Exception"))
    assert heard == []
    assert not (directories / hostile.id / CANARY).exists()
    assert len(message) < 1_000
    assert peak_bytes < MAX_BYTES


def test_the_code_of_a_pickle_would_have_been_heard(directories: Path) -> None:
    """Hold the test itself to it: the same pickle, loaded, leaves its canary."""
    import pickle

    pickle.loads((directories / "pickle-beside" / "model" / "model.pkl").read_bytes())  # noqa: S301
    canary = directories / "pickle-beside" / CANARY
    assert canary.is_dir()
    canary.rmdir()


def test_a_model_that_was_changed_after_its_golden_rows_is_refused(tmp_path: Path) -> None:
    """Weights that are well-formed and say something else: the golden rows tell."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(GOLDEN / "linear-binary", tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "weights.safetensors")
    tensors["bias"] = tensors["bias"] + 0.01
    save_file(tensors, tmp_path / "model" / "weights.safetensors")
    with pytest.raises(IntegrityError, match="does not repeat its golden predictions"):
        Scorer.open(tmp_path / "model", "cpu")
