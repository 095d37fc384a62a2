"""Taking down a checkout's working tree, and making it again elsewhere, without touching the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, EngineError, IntegrityError
from pipelines.training.checkout import Code, capture_code, recorded_code

Git = Callable[..., str]


def _capture(checkout: Path, tmp_path: Path, name: str = "scratch") -> Code:
    scratch = tmp_path / name
    scratch.mkdir()
    return capture_code(checkout, scratch)


def _files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, that of git's included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _code_files(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in _files(folder).items() if not name.startswith(".git/")}


def _edit(checkout: Path) -> None:
    """Change, add, remove and ignore something."""
    (checkout / "code.py").write_text("answer = 43\n")
    (checkout / "new").mkdir()
    (checkout / "new" / "blätter.py").write_text("leaf = True\n")
    (checkout / "gone.py").unlink()
    (checkout / "ignored").mkdir()
    (checkout / "ignored" / "big.bin").write_bytes(b"\0" * 1000)


def test_a_clean_checkout_is_its_commit(checkout: Path, git: Git, tmp_path: Path) -> None:
    code = _capture(checkout, tmp_path)

    assert code.commit == git(checkout, "rev-parse", "HEAD")
    assert code.tree == git(checkout, "rev-parse", "HEAD^{tree}")
    assert code.patch == b""
    assert not code.is_dirty


def test_uncommitted_changes_are_part_of_the_code_and_the_checkout_is_not_touched(
    checkout: Path, tmp_path: Path
) -> None:
    _edit(checkout)
    before = _files(checkout)

    code = _capture(checkout, tmp_path)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    code.materialise(workspace)

    assert code.is_dirty
    expected = {name: text for name, text in _code_files(checkout).items() if not name.startswith("ignored/")}
    assert _code_files(workspace) == expected
    assert _files(checkout) == before


def test_the_workspace_is_at_the_commit(checkout: Path, git: Git, tmp_path: Path) -> None:
    _edit(checkout)
    code = _capture(checkout, tmp_path)
    (tmp_path / "workspace").mkdir()
    code.materialise(tmp_path / "workspace")

    assert git(tmp_path / "workspace", "rev-parse", "HEAD") == code.commit
    assert git(tmp_path / "workspace", "log", "--format=%s") == "First"
    assert "new/" in git(tmp_path / "workspace", "status", "--short")


def test_commit_and_patch_make_the_same_tree(checkout: Path, git: Git, tmp_path: Path) -> None:
    _edit(checkout)
    code = _capture(checkout, tmp_path)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(checkout), str(clone))
    patch = tmp_path / "uncommitted.patch"
    patch.write_bytes(code.patch)

    git(clone, "apply", "--index", str(patch))

    assert git(clone, "write-tree") == code.tree


def test_what_runs_is_what_was_taken_down_even_if_somebody_edits_meanwhile(
    checkout: Path, tmp_path: Path
) -> None:
    code = _capture(checkout, tmp_path)
    (checkout / "code.py").write_text("answer = None\n")
    (tmp_path / "workspace").mkdir()

    code.materialise(tmp_path / "workspace")

    assert (tmp_path / "workspace" / "code.py").read_text() == "answer = 42\n"


def test_the_same_tree_has_the_same_digest_and_another_has_not(checkout: Path, tmp_path: Path) -> None:
    first = _capture(checkout, tmp_path, "one")
    second = _capture(checkout, tmp_path, "two")
    (checkout / "code.py").write_text("answer = 43\n")
    third = _capture(checkout, tmp_path, "three")

    assert first.tree == second.tree != third.tree


def test_a_shallow_clone_will_do(checkout: Path, git: Git, tmp_path: Path) -> None:
    (checkout / "code.py").write_text("answer = 43\n")
    git(checkout, "commit", "--all", "--quiet", "--message", "Second")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{checkout}", str(shallow))

    code = _capture(shallow, tmp_path)
    (tmp_path / "workspace").mkdir()
    code.materialise(tmp_path / "workspace")

    assert git(tmp_path / "workspace", "log", "--format=%s") == "Second"


def test_a_linked_worktree_will_do(checkout: Path, git: Git, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(checkout, "worktree", "add", "--quiet", str(linked))
    (linked / "code.py").write_text("answer = 43\n")

    code = _capture(linked, tmp_path)
    (tmp_path / "workspace").mkdir()
    code.materialise(tmp_path / "workspace")

    assert (tmp_path / "workspace" / "code.py").read_text() == "answer = 43\n"


def test_a_checkout_without_an_index_is_read_file_by_file(checkout: Path, tmp_path: Path) -> None:
    clean = _capture(checkout, tmp_path, "one")
    (checkout / ".git" / "index").unlink()

    assert _capture(checkout, tmp_path, "two").tree == clean.tree


def test_variables_that_git_sets_for_hooks_do_not_lead_elsewhere(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))

    assert not _capture(checkout, tmp_path).is_dirty


def test_hooks_of_the_checkout_do_not_run(checkout: Path, git: Git, tmp_path: Path) -> None:
    hook = checkout / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    (checkout / "code.py").write_text("answer = 43\n")

    _capture(checkout, tmp_path)

    assert not (tmp_path / "ran").exists()


def test_a_folder_without_git_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()

    with pytest.raises(ConfigError, match=r"plain is not a git repository.*HOLDFAST_PROJECT"):
        _capture(tmp_path / "plain", tmp_path)


def test_a_folder_inside_a_repository_is_refused(checkout: Path, tmp_path: Path) -> None:
    (checkout / "inner").mkdir()

    with pytest.raises(ConfigError, match="is not its root"):
        _capture(checkout / "inner", tmp_path)


def test_a_repository_without_a_commit_is_refused(tmp_path: Path, git: Git) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")

    with pytest.raises(ConfigError, match="has no commit yet"):
        _capture(tmp_path / "empty", tmp_path)


def test_a_large_file_that_nobody_ignored_is_named(checkout: Path, tmp_path: Path) -> None:
    with (checkout / "dump.csv").open("wb") as file:
        file.truncate(65 * 2**20)

    with pytest.raises(ConfigError, match=r"65 MiB.*dump\.csv.*\.gitignore"):
        _capture(checkout, tmp_path)


def test_a_machine_without_git_is_told_so(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match="`git` is not installed"):
        _capture(checkout, tmp_path)


def test_a_failure_of_git_says_which_command_and_why(checkout: Path, tmp_path: Path) -> None:
    code = _capture(checkout, tmp_path)
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / ".git").write_text("gitdir: nowhere\n")

    with pytest.raises(EngineError, match=r"`git init` failed in .*occupied"):
        code.materialise(occupied)


def test_a_link_to_nowhere_is_no_problem(checkout: Path, tmp_path: Path) -> None:
    (checkout / "dangling").symlink_to("nowhere")

    assert _capture(checkout, tmp_path).is_dirty


def test_commit_and_patch_give_the_very_tree_back_after_the_checkout_has_moved_on(
    checkout: Path, git: Git, tmp_path: Path
) -> None:
    _edit(checkout)
    (checkout / "lines.txt").write_bytes(b"ends as Windows does  \r\nand no end")
    (checkout / "latin.txt").write_bytes("Grüße\n".encode("latin-1"))
    (checkout / "image.png").write_bytes(bytes(range(256)))
    then = _capture(checkout, tmp_path)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "Moved on")
    before = _files(checkout)

    (tmp_path / "later").mkdir()
    found = recorded_code(checkout, then.commit, then.patch, tmp_path / "later")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    found.materialise(workspace)

    assert (found.tree, found.commit, found.is_dirty) == (then.tree, then.commit, True)
    assert (workspace / "latin.txt").read_bytes() == "Grüße\n".encode("latin-1")
    assert (workspace / "image.png").read_bytes() == bytes(range(256))
    assert _files(checkout) == before


def test_a_clean_commit_is_its_own_tree(checkout: Path, git: Git, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    commit = git(checkout, "rev-parse", "HEAD")

    found = recorded_code(checkout, commit, b"", tmp_path / "scratch")

    assert (found.tree, found.is_dirty) == (git(checkout, "rev-parse", "HEAD^{tree}"), False)


@pytest.mark.parametrize(
    ("is_known", "patch", "error", "told"),
    [
        pytest.param(False, b"", ConfigError, "does not know the commit 0000", id="another clone"),
        pytest.param(True, b"no patch at all\n", IntegrityError, "do not apply to the commit", id="no patch"),
        pytest.param(
            True,
            b"--- a/code.py\n+++ b/code.py\n@@ -1 +1 @@\n-answer = 7\n+answer = 8\n",
            IntegrityError,
            "do not apply to the commit",
            id="a patch of another file",
        ),
    ],
)
def test_a_record_that_cannot_be_laid_out_is_refused(
    checkout: Path,
    git: Git,
    tmp_path: Path,
    is_known: bool,
    patch: bytes,
    error: type[Exception],
    told: str,
) -> None:
    (tmp_path / "scratch").mkdir()
    commit = git(checkout, "rev-parse", "HEAD") if is_known else "0" * 40

    with pytest.raises(error, match=told):
        recorded_code(checkout, commit, patch, tmp_path / "scratch")
