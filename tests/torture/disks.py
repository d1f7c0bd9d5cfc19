"""Disks that are full, read-only or slow: real ones where this may be done, limits of the process elsewhere."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"A disk of its own can't be had here: {done.stderr.strip()}")


def _allow(what: str, path: Path) -> None:
    """Mount a disk anew, otherwise. It can't become read-only while somebody has a file of it open for writing."""
    deadline = time.monotonic() + 30
    while (done := subprocess.run(["mount", "-o", f"remount,{what}", str(path)], capture_output=True)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)


class Disk:
    """A small disk, in memory. It can be filled to the last byte, and made read-only."""

    def __init__(self, path: Path) -> None:
        """It is mounted already."""
        self.path = path
        self._filler, self._keeping = path / "filler", threading.Event()

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room as long as the block lasts, also when others free some."""
        self._keeping.set()
        self.fill()
        keeper = threading.Thread(target=self._keep_full)
        keeper.start()
        try:
            yield
        finally:
            self._keeping.clear()
            keeper.join()
            self._filler.unlink()

    def _keep_full(self) -> None:
        while self._keeping.is_set():
            self.fill()
            threading.Event().wait(0.05)

    def fill(self) -> None:
        """Write until nothing fits any more."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def empty(self) -> None:
        """Undo that."""
        self._filler.unlink()

    def allow(self, what: str) -> None:
        """``ro`` or ``rw``."""
        _allow(what, self.path)


@contextlib.contextmanager
def small(path: Path, megabytes: int = 16) -> Iterator[Disk]:
    """A disk of so many megabytes at `path`."""
    if not sys.platform.startswith("linux"):
        pytest.skip("Linux has disks in memory; other systems have them elsewhere.")
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextlib.contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Let nobody write into folders: for root by a mount, for others by their mode."""
    if sys.platform == "win32":
        pytest.skip("Windows has other permissions.")
    if os.geteuid() == 0:
        for folder in folders:
            _mount("--bind", str(folder), str(folder))
            _allow("bind,ro", folder)
    modes = [folder.stat().st_mode for folder in folders]
    if os.geteuid() != 0:
        for folder in folders:
            folder.chmod(0o500)
    try:
        yield
    finally:
        for folder, mode in zip(folders, modes, strict=True):
            if os.geteuid() == 0:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            else:
                folder.chmod(mode)


def slowed(folder: Path, milliseconds: int, network: Path | None = None) -> dict[str, str]:
    """What a program needs in its environment so that its disk is slow.

    Args:
        folder: where to put what it loads.
        milliseconds: how long each write to the disk takes.
        network: a folder that the system shall take for one on a file server.
    """
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        pytest.skip("There is no C compiler here, or another way to load what it makes.")
    library = folder / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(library), "SLOW_MS": str(milliseconds)}
    if network is None:
        return environment
    (folder / "sitecustomize.py").write_text(
        "import collections, psutil\n"
        f"part = collections.namedtuple('part', 'mountpoint fstype')({str(network)!r}, 'nfs4')\n"
        "psutil.disk_partitions = lambda all=False: [part]\n"
    )
    return {**environment, "PYTHONPATH": str(folder)}
