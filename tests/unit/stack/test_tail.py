import threading
import time

import pytest

from pipelines.errors import StackError
from pipelines.stack import logs
from pipelines.stack.state import StackPaths
from pipelines.stack.tail import last_lines


@pytest.fixture
def folder(settings):
    found = StackPaths(settings.home).log("any").parent
    found.mkdir(parents=True)
    return found


@pytest.mark.parametrize(("n", "lines"), [(0, []), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_the_last_lines_of_a_file(tmp_path, n, lines):
    (tmp_path / "log").write_text("a\nb\nc\n")

    assert last_lines(tmp_path / "log", n) == lines


def test_a_missing_file_has_no_lines(tmp_path):
    assert last_lines(tmp_path / "log", 5) == []


def test_no_more_than_the_end_of_a_huge_file_is_read(tmp_path):
    (tmp_path / "log").write_bytes(b"x" * 1_000_000 + b"\nlast \xff\n")

    assert last_lines(tmp_path / "log", 1) == ["last �"]
    assert sum(map(len, last_lines(tmp_path / "log", 10))) < 300_000


def test_one_log_is_shown_as_it_is_and_several_with_their_names(settings, folder, said):
    (folder / "scheduler.log").write_text("one\ntwo\n")
    (folder / "mlflow.log").write_text("three\n")

    logs(settings, name="scheduler", n=1, say=said.append)
    logs(settings, say=said.append)

    assert said == ["two", "mlflow    | three", "scheduler | one", "scheduler | two"]


def test_an_unknown_log_is_one_sentence_that_names_those_there_are(settings, folder):
    (folder / "scheduler.log").touch()

    with pytest.raises(StackError, match=r"no log 'sheduler'; it has scheduler\."):
        logs(settings, name="sheduler")


def test_no_logs_yet_is_one_sentence(settings):
    with pytest.raises(StackError, match="run `holdfast up` first"):
        logs(settings)


def test_following_shows_whole_lines_as_they_come_and_a_log_that_is_begun_anew(settings, folder):
    log = folder / "scheduler.log"
    log.write_text("before\n")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line == "end":
            raise KeyboardInterrupt

    def write() -> None:
        while "before" not in said:
            time.sleep(0.01)
        with log.open("a") as file:
            file.write("half")
            file.flush()
            time.sleep(0.5)
            file.write(" and whole\n")
        while "half and whole" not in said:
            time.sleep(0.01)
        log.unlink()
        time.sleep(0.5)
        log.write_text("end\n")

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(KeyboardInterrupt):
        logs(settings, name="scheduler", follow=True, say=say)
    writer.join()

    assert said == ["before", "half and whole", "end"]
