"""What a service's process holds: file handles, threads, processes, memory, and files that are for no one."""

import time
from dataclasses import dataclass, field, fields

import psutil

from conftest import Service


@dataclass(frozen=True)
class Vitals:
    """A service at one moment.

    Attributes:
        handles: open files and connections.
        threads: all, also llama.cpp's.
        children: processes that it started and that are not waited for.
        megabytes: memory that is its own alone.
        leftovers: files in the folder of uploads that are no upload.
    """

    handles: int
    threads: int
    children: int
    megabytes: float = field(compare=False)
    leftovers: int

    @classmethod
    def names(cls) -> list[str]:
        """The names of all, in order."""
        return [each.name for each in fields(cls)]


def look(service: Service) -> Vitals:
    """How a service is now."""
    assert service.process
    process = psutil.Process(service.process.pid)
    with process.oneshot():
        return Vitals(
            process.num_fds(),
            process.num_threads(),
            len(process.children(recursive=True)),
            process.memory_full_info().uss / 1e6,
            sum(not path.name.startswith("file-") for path in (service.home / "files").iterdir()),
        )


def at_rest(service: Service, seconds: float = 30) -> Vitals:
    """How a service is when nobody is connected any more, and it has nothing to do.

    Raises:
        AssertionError: it does not come to rest in that time.
    """
    assert service.process
    process = psutil.Process(service.process.pid)
    deadline = time.monotonic() + seconds
    while True:
        before = sum(process.cpu_times()[:2])
        time.sleep(0.25)
        worked = sum(process.cpu_times()[:2]) - before
        connected = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]
        found = look(service)
        if not connected and not found.children and not found.leftovers and worked < 0.1:
            return found
        assert time.monotonic() < deadline, (
            f"after {seconds} s: {len(connected)} connections, {found.children} processes, "
            f"{found.leftovers} files left over, {worked:.2f} s of work in a quarter of a second"
        )
