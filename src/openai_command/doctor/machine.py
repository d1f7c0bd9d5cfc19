"""The machine: memory, disk, processor, whether the compiled packages run on it, and the folders to write to.

On Linux the limit of a control group counts as well (a cluster's job, a container): version 2 of them.
Each folder is tried with a real file, which is gone again at once.
"""

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from openai_command.doctor import remedies
from openai_command.doctor.remedies import Finding, ok, warning, wrong
from openai_data.local_cli import output
from openai_lesson import keys

GB = 1e9
TRAINING_GB = 1.6
DISK_GB = 1.0
GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
PROCESSOR = Path("/proc/cpuinfo")
_AVX2_ON_WINDOWS = 40  # PF_AVX2_INSTRUCTIONS_AVAILABLE of IsProcessorFeaturePresent


def compiled() -> list[Finding]:
    """Whether the packages with compiled code can be loaded here: one may need what this machine has not."""
    return [_loads("xllamacpp", "that answers"), _loads("torch", "that trains")]


def _loads(package: str, purpose: str) -> Finding:
    """In a process of its own: a processor that lacks an instruction ends the whole process."""
    words = [sys.executable, "-P", "-c", f"import {package}"]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120)
    if done.returncode == 0:
        return ok(f"The program {purpose} can be loaded ({package}).")
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if package == "torch" and remedies.kind() == "conda":
        again = f"conda install -p {remedies.quoted(Path(sys.prefix))} -c conda-forge --force-reinstall pytorch"
    else:
        again = f"{remedies.python()} -m pip install --force-reinstall --no-deps {package}"
    return wrong(f"The program {purpose} ({package}) can't be loaded: {said}.", again)


def memory() -> Finding:
    """What is free, next to what training takes."""
    free = min([psutil.virtual_memory().available, *_left_in_groups()]) / GB
    if free < TRAINING_GB:
        return warning(
            f"{free:.1f} GB of memory are free; training takes {TRAINING_GB} GB. Close other programs "
            "(on a cluster or a hub, ask for more memory), then look again.",
            f"{remedies.program('openai-lesson')} doctor",
        )
    return ok(f"{free:.1f} GB of memory are free; training takes {TRAINING_GB} GB.")


def _left_in_groups() -> list[int]:
    """The bytes that are left in this process's control group and in those around it."""
    try:
        own = GROUPS / OWN_GROUP.read_text().split("::", 1)[1].strip().lstrip("/")
    except (OSError, IndexError):
        return []
    left = []
    for group in (own, *own.parents):
        with suppress(OSError, ValueError):  # there is no limit
            limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
            figures = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            left.append(max(0, limit - used + int(figures.get("inactive_file", 0))))
    return left


def disk() -> Finding:
    """What is free where models and data are kept."""
    there = _nearest(_service_folders()[0])
    free = shutil.disk_usage(there).free / GB
    if free < DISK_GB:
        conda = remedies.kind() == "conda"
        mend = "conda clean --all --yes" if conda else f"{remedies.python()} -m pip cache purge"
        text = f"{free:.1f} GB of disk are free at {remedies.shown(there)}; keep {DISK_GB:.0f} GB free."
        return warning(f"{text} This empties a store of downloads that is no longer needed.", mend)
    return ok(f"{free:.0f} GB of disk are free.")


def processor() -> Finding:
    """What the processor can do, as far as the system tells."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    what = f"{cores} processor core{'s' if cores > 1 else ''}"
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ok(f"{what}, {platform.machine()}.")
    known = _features()
    if known is None:
        return ok(f"{what}; the system does not tell its features (AVX2 and others).")
    if "avx2" not in known:
        return warning(f"{what}, without AVX2. Training and answers will be slow; plan for several times as long.")
    faster = [name for name in ("avx512f", "amx_tile") if name in known]
    return ok(f"{what} with {', '.join(name.upper() for name in ('avx2', *faster))}.")


def _features() -> set[str] | None:
    """The processor's features in lower case, or None if the system does not tell."""
    try:
        if sys.platform == "win32":
            present = ctypes.windll.kernel32.IsProcessorFeaturePresent(_AVX2_ON_WINDOWS)
            return {"avx2"} if present else set()
        lines = PROCESSOR.read_text().splitlines()
    except OSError:
        return None
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), None)


def folders() -> list[Finding]:
    """A line for each folder that can't be written to, or one for all."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return [wrong("The folder that you are in does not exist any more.", "cd ~")]
    home, cache = _service_folders()
    others = {
        "OPENAI_LOCAL_HOME": ("trained models", home),
        "OPENAI_LOCAL_CACHE": ("the base model", cache),
        "OPENAI_LESSON_CONFIG": ("your keys", keys.path().parent),
        "JUPYTER_RUNTIME_DIR": ("Jupyter's notes on running kernels", Path(jupyter_runtime_dir())),
    }
    another = "%USERPROFILE%\\openai-lesson-files" if remedies.WINDOWS else "~/openai-lesson-files"
    found = [_refusal("The folder that you are in", here, "cd ~")]  # data is written next to the notebooks
    for variable, (purpose, folder) in others.items():
        found.append(_refusal(f"The folder for {purpose}", folder, remedies.set_variable(variable, another)))
    return list(filter(None, found)) or [ok("All folders that the lesson writes to can be written to.")]


def _service_folders() -> tuple[Path, Path]:
    """The service's home, and its cache."""
    facts = json.loads(output("where", "--json"))
    return Path(facts["home"]), Path(facts["cache"])


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _refusal(what: str, folder: Path, elsewhere: str) -> Finding | None:
    """Why nothing can be written there; None if it can. It is mended there if the folder is the user's."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    own = there.is_dir() and (remedies.WINDOWS or there.stat().st_uid == os.geteuid())
    quoted = remedies.quoted(there)
    here = f'icacls {quoted} /grant "%USERNAME%":(OI)(CI)F' if remedies.WINDOWS else f"chmod u+rwx {quoted}"
    return wrong(f"{what} ({remedies.shown(folder)}) can't be written to: {why}.", here if own else elsewhere)
