"""Uses models that lie: ``python registering.py KIND BEGIN END FOLDER BASE SOUND``.

It does so in a process of its own, as llama.cpp would end the process at some of them. A line is printed before
each number, so the last one says at which it was; and one after it: the sentence that refuses the model, if one
does, whether llama.cpp was given the file, what was unpickled, how long it took, and how much memory it took.
"""

import json
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forged
import forged_adapters
import forged_folders
import xllamacpp

from openai_local.answering.inference import Answering, Target
from openai_local.answering.llama_server import start
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models.adapter import read_adapter
from openai_local.models.base_models import Bases
from openai_local.registration import register
from openai_local.training.tokenisation import Encoder
from tiny import CONFIG

GIVEN: list[str] = []
UNPICKLED: list[str] = []


def watched(params: Any, real: Any = xllamacpp.Server) -> Any:
    """llama.cpp, and a note that it was given a file."""
    GIVEN.append(params.model.path)
    return real(params)


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":
        UNPICKLED.append(str(arguments))


def registered(source: Path, folder: Path) -> None:
    """Register a model, and use it as training and answering do."""
    bases = Bases(Home(folder / "home"), folder / "cache")
    entry = register(bases, "mine", source)
    try:
        assert Encoder(entry.weights).tokens("What is sin?")
        answering = Answering()
        request = {"prompt": [1, 2, 3], "max_tokens": 2, "temperature": 0}
        assert answering.complete(Target(entry.gguf), request)["choices"]
        answering.close()
    finally:
        bases.remove("mine")
        left = [path.name for path in bases.folder.iterdir() if path.name != ".lock"]
        assert not left, left


def answered(source: Path, folder: Path, base: Path) -> None:
    """Answer from an adapter, and read it as for an export."""
    server = start(base, [source], 1)
    request = {"prompt": [1, 2, 3], "max_tokens": 2, "temperature": 0, "lora": [{"id": 0, "scale": 1.0}]}
    assert "choices" in server.handle.handle_completions(request)
    assert read_adapter(source, CONFIG).factors


def peak() -> int:
    """The most memory that this program has taken, in mebibytes. (`getrusage` counts who started it, too.)"""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM:")) // 1024


def main() -> None:
    kind, begin, end, place, base, sound = sys.argv[1], *map(int, sys.argv[2:4]), *map(Path, sys.argv[4:7])
    xllamacpp.Server = watched
    sys.addaudithook(watch)
    for number in range(begin, end):
        folder = place / str(number)
        outside = folder / "outside"
        outside.mkdir(parents=True)
        source = folder / ("model" if kind == "folder" else "model.gguf")
        if kind == "folder":
            shutil.copytree(sound, source)
            forged_folders.spoil(number, source, outside)
        else:
            source.write_bytes((forged.model if kind == "model" else forged_adapters.adapter)(number, sound))
        print(json.dumps({"number": number}), flush=True)
        GIVEN.clear()
        before = resource.getrusage(resource.RUSAGE_SELF)
        action: Callable[[], None] = (
            (lambda source=source, folder=folder: answered(source, folder, base))
            if kind == "adapter"
            else (lambda source=source, folder=folder: registered(source, folder))
        )
        said = None
        try:
            action()
        except LocalError as error:
            said = str(error)
        except BaseException as error:
            said = f"{type(error).__name__} should not come through: {str(error)[:300]}"
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        facts = {"number": number, "said": said, "given": bool(GIVEN), "seconds": round(seconds, 2)}
        print(json.dumps({**facts, "peak": peak(), "unpickled": UNPICKLED}), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
