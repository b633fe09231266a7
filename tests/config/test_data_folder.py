"""The data folder: one instance at a time, secrets made once, sockets where their path fits."""

from pathlib import Path

import pytest

from config.data_folder import SOCKET_PATH_LIMIT, DataFolder, DataFolderError


def test_a_second_instance_cannot_take_the_folder(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)

    assert first.lock()
    assert not second.lock()

    first.unlock()
    assert second.lock()
    second.unlock()


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    made = DataFolder(tmp_path).secrets()

    assert DataFolder(tmp_path).secrets() == made
    assert set(made) == {
        "SECRET_KEY",
        "TOLLKEEPER_KEY_PEPPER",
        "TOLLKEEPER_WRAP_KEY",
        "TOLLKEEPER_FINGERPRINT_SECRET",
    }
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_sockets_lie_in_the_folder(tmp_path: Path) -> None:
    folder = DataFolder(Path("/tmp/short"))  # noqa: S108 -- only a short path, nothing is made in it

    assert folder.sockets == Path("/tmp/short/run")  # noqa: S108


def test_sockets_move_when_the_path_is_too_long_for_them(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * SOCKET_PATH_LIMIT)

    sockets = DataFolder(deep).make_sockets()

    assert len(str(sockets)) <= SOCKET_PATH_LIMIT
    assert sockets.stat().st_mode & 0o777 == 0o700
    sockets.rmdir()


def test_sockets_of_somebody_else_are_refused(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / ("d" * SOCKET_PATH_LIMIT))
    folder.sockets.symlink_to(tmp_path)

    with pytest.raises(DataFolderError):
        folder.make_sockets()

    folder.sockets.unlink()
