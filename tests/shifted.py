"""Processes whose clocks can be put forward while they run, as a machine's are that slept."""

from pathlib import Path

_PROGRAM = '''
"""Python imports this at its start."""
import time

def shifted(clock, name):
    def now():
        try:
            with open({file!r}) as file:
                return clock() + float(file.read().split()[name] or 0)
        except (OSError, IndexError):
            return clock()
    return now

time.time, time.monotonic = shifted(time.time, 0), shifted(time.monotonic, 1)
'''


class Clocks:
    """Those of all Python programs that are started with `environment`."""

    def __init__(self, folder: Path):
        self._file, self._wall, self._monotonic = folder / "seconds", 0.0, 0.0
        (folder / "sitecustomize.py").write_text(_PROGRAM.format(file=str(self._file)))
        self.environment = {"PYTHONPATH": str(folder)}

    def sleep(self, seconds: float, *, monotonic: bool = True) -> None:
        """Put them forward. Windows counts sleep in both clocks, other systems in that of the wall alone."""
        self._wall += seconds
        self._monotonic += seconds if monotonic else 0.0
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._wall} {self._monotonic}")
        new.replace(self._file)
