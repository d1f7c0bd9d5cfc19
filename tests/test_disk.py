import errno
import os
import sqlite3
import sys

import numpy as np
import pytest

from openai_local import disk
from openai_local.cli import main


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EFBIG, "full"),
        (errno.EROFS, "shut"),
        (errno.EACCES, "shut"),
        (errno.EIO, "sick"),
        (errno.ESTALE, "sick"),
        (errno.ENOENT, None),
        (errno.EPIPE, None),
    ],
)
def test_what_the_system_says_becomes_a_sentence(number, kind, tmp_path):
    error = OSError(number, os.strerror(number))
    assert disk.refusal(error) == kind
    said = disk.sentence(error, tmp_path)
    assert (said is None) == (kind is None)
    if said and kind:
        assert str(tmp_path) in said and said.endswith(".") and str(tmp_path) not in disk.FOR_CLIENTS[kind]


def test_other_errors_are_none_of_the_disk_s(tmp_path):
    for error in (TimeoutError(), ConnectionResetError(), KeyError("a"), sqlite3.IntegrityError("twice")):
        assert disk.sentence(error, tmp_path) is None


def test_what_sqlite_says_becomes_a_sentence(tmp_path):
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite3.connect(tmp_path / "garbage.db").execute("SELECT * FROM a")
    assert disk.refusal(caught.value) == "damaged"
    assert f"in {tmp_path.name}/files" not in disk.FOR_CLIENTS["damaged"]
    assert "is damaged (file is not a database)" in disk.sentence(caught.value, tmp_path)

    writing, late = (sqlite3.connect(tmp_path / "a.db", isolation_level=None, timeout=0) for _ in range(2))
    writing.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        late.execute("BEGIN IMMEDIATE")
    assert disk.refusal(caught.value) == "busy"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full.")  # noqa: PTH110
def test_numpy_says_it_in_its_own_words():
    with open("/dev/full", "wb") as full, pytest.raises(OSError) as caught:  # noqa: PTH123
        np.zeros(1 << 20).tofile(full)
    assert disk.refusal(caught.value) == "full"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_command_that_may_not_write_ends_with_a_sentence(tmp_path, capsys):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/openai-local.db").symlink_to(tmp_path / "nowhere/openai-local.db")
    assert main(["keys", "list", "--home", str(tmp_path / "home")]) == 1
    said = capsys.readouterr().err
    home = tmp_path / "home"
    assert said.startswith(f"openai-local: {home} can't be written to (unable to open database file).")
