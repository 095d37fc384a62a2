import socket

import pytest

from pipelines.errors import StackError
from pipelines.stack.checks import check_disk, check_port, check_python


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_pass(version):
    check_python(version)


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (4, 0)])
def test_another_python_is_one_sentence(version):
    with pytest.raises(StackError, match=rf"Python 3.11 to 3.13, and this is {version[0]}\.{version[1]} "):
        check_python(version)


def test_a_disk_with_room_passes_and_the_home_is_made(tmp_path):
    check_disk(tmp_path / "new" / "home", min_free_bytes=1)

    assert (tmp_path / "new" / "home").is_dir()


def test_a_full_disk_says_how_much_is_free_and_what_to_do(tmp_path):
    with pytest.raises(StackError, match=r"MiB free, and the stack wants 1\d+: make room, or"):
        check_disk(tmp_path, min_free_bytes=2**60)


def test_a_home_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "home").write_text("")

    with pytest.raises(StackError, match="point HOLDFAST_HOME elsewhere"):
        check_disk(tmp_path / "home")


def test_a_free_port_passes():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    check_port(port, purpose="Airflow", option="--api-port")


@pytest.mark.parametrize("interface", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_busy_port_names_port_purpose_and_option(interface):
    with socket.create_server((interface, 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(StackError, match=rf"Port {port}, wanted for MLflow, .* --mlflow-port\."):
            check_port(port, purpose="MLflow", option="--mlflow-port")


@pytest.mark.parametrize("port", [-1, 0, 65_536])
def test_what_is_no_port_is_said_so(port):
    with pytest.raises(StackError, match="between 1 and 65535"):
        check_port(port, purpose="Airflow", option="--api-port")
