"""requirements.lock: what make installs. pip takes a file only if its SHA-256 stands there."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "dependencies"))

import audit  # noqa: E402 - they lie beside the package
import lock  # noqa: E402
import wanted  # noqa: E402

TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = {canonicalize_name(package.name): package for package in lock.locked(TEXT)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS = PROJECT["dependency-groups"]["release"]


def reasons() -> dict[str, set[str]]:
    """For each package of the lock, what asks for it."""
    asked: dict[str, set[str]] = {}
    for line in TEXT.splitlines():
        if found := re.match(r"([\w.-]+)==", line):
            asked[name := canonicalize_name(found[1])] = set()
        elif line.startswith(("    # via ", "    #   ")):
            asked[name].add(line.removeprefix("    #").removeprefix(" via").strip())
    return asked


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def test_every_package_has_hashes():
    assert len(LOCKED) == TEXT.count("==") - TEXT.count(" == ") > 100, "each line that pins is understood"
    assert not [name for name, package in LOCKED.items() if not package.hashes]


def test_the_versions_are_those_of_the_pins():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    assert {canonicalize_name(name): version for name, version in pins.items()} == {
        name: package.version for name, package in LOCKED.items()
    }, "type  make lock"


def test_it_holds_what_is_asked_for_and_nothing_else():
    asked = reasons()
    direct = {name for name, why in asked.items() if any(reason.startswith("openai-lesson ") for reason in why)}
    assert direct == names([*wanted.wanted("test"), *TOOLS]), "type  make lock"
    reached, new = set(), direct
    while new:
        reached |= new
        new = {name for name, why in asked.items() if reached & {canonicalize_name(one) for one in why}} - reached
    assert reached == set(LOCKED)


def test_the_versions_are_among_what_is_asked_for():
    for requirement in map(Requirement, [*wanted.wanted("test"), *TOOLS, *PROJECT["build-system"]["requires"]]):
        assert requirement.specifier.contains(LOCKED[canonicalize_name(requirement.name)].version), requirement


def test_what_is_installed_here_is_in_it():
    """Each package that is here because another asks for it: with its version, and where this system needs it."""
    seen, waiting = set(), [Requirement(text) for text in wanted.wanted("test")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if (name, extras := frozenset(extras)) in seen:
            continue
        seen.add((name, extras))
        package, here = LOCKED[name], distribution(name)
        assert not package.marker or Marker(package.marker).evaluate(), name
        assert Version(here.version).public == package.version, f"{name} {here.version}: type  make .venv/ready"
        for text in here.requires or []:
            below = Requirement(text)
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in extras):
                below.marker = None
                waiting.append(below)
    assert len(seen) > 100


@pytest.mark.parametrize(
    ("system", "here", "not_here"),
    [
        ({"sys_platform": "win32", "os_name": "nt"}, {"colorama", "pywinpty"}, {"appnope", "pexpect", "triton"}),
        (
            {"sys_platform": "darwin", "os_name": "posix"},
            {"appnope", "pexpect"},
            {"colorama", "pywinpty", "triton"},
        ),
        ({"sys_platform": "linux", "os_name": "posix"}, {"nvidia-nccl-cu13", "triton"}, {"colorama", "appnope"}),
    ],
)
@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0", "3.14.0"])
def test_it_serves_every_system(system, here, not_here, python):
    place = {**system, "python_full_version": python, "python_version": python.rpartition(".")[0]}
    there = {
        name for name, package in LOCKED.items() if not package.marker or Marker(package.marker).evaluate(place)
    }
    assert here <= there and not not_here & there


def test_both_files_of_pytorch_are_taken():
    listed = (ROOT / "dependencies" / "torch-cpu.txt").read_text(encoding="utf-8")
    smaller = {line.split()[0] for line in listed.splitlines() if not line.startswith("#")}
    assert smaller < LOCKED["torch"].hashes
    with pytest.raises(SystemExit, match=r"torch-cpu\.txt has torch-9\.9\+cpu-.*but PyTorch is"):
        lock.with_smaller(TEXT, f"{'0' * 64}  torch-9.9+cpu-cp312-cp312-manylinux_2_28_x86_64.whl\n")


@pytest.fixture
def index(tmp_path):
    """A folder that pip takes packages from: `upper` needs `lower`. And a lock for the two."""
    folder = tmp_path / "index"
    folder.mkdir()
    lines = []
    for name, needs in (("upper", "Requires-Dist: lower\n"), ("lower", "")):
        path = folder / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            below = f"{name}-1.0.dist-info"
            wheel.writestr(f"{below}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
            wheel.writestr(f"{below}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{below}/RECORD", "")
        lines.append(f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    (tmp_path / "requirements.lock").write_text("".join(lines))
    return tmp_path


def install(folder: Path) -> subprocess.CompletedProcess[str]:
    """Call pip with the very options that make gives it, but install nothing."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"^LOCKED := (.*)$", makefile, re.MULTILINE)[1].split()
    where = ["--no-index", "--find-links", "index", "--dry-run", "--no-input", "--target", "nowhere"]
    command = [sys.executable, "-m", "pip", "--isolated", "install", *options, *where, "upper"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_pip_takes_what_the_lock_names(index):
    done = install(index)
    assert done.returncode == 0 and "Would install lower-1.0 upper-1.0" in done.stdout, done.stderr


def test_pip_refuses_a_file_that_changed(index):
    with zipfile.ZipFile(index / "index" / "lower-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "")
    done = install(index)
    assert done.returncode and "DO NOT MATCH THE HASHES" in done.stderr and "lower" in done.stderr


def test_pip_refuses_what_the_lock_does_not_name(index):
    path = index / "requirements.lock"
    path.write_text(path.read_text()[: path.read_text().index("lower")])
    done = install(index)
    assert done.returncode and "lower" in done.stderr and "hash" in done.stderr.lower()


def test_make_installs_nothing_without_hashes():
    lines = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "install" in line]
    calls = [line for line in lines if re.search(r"\$\(PIP\)|\bpip install", line)]
    assert len(calls) == 5
    for line in calls:
        own = "--no-deps --build-constraint requirements.lock --editable ." in line
        assert own or "$(LOCKED)" in line or "--require-hashes --requirement /dev/stdin" in line, line


def test_only_a_release_needs_its_tools():
    assert all(reasons()[name] == {"openai-lesson (pyproject.toml:release)"} for name in names(TOOLS))


HOLE = {"name": "upper", "version": "1.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.1"]}]}
WHOLE = {"name": "lower", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "lower", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "reason", "code", "said"),
    [
        ([WHOLE, WHOLE], "", 0, "No hole is known in any of 2 packages."),
        ([WHOLE, HOLE], "", 1, "upper 1.0: PYSEC-2026-1, mended in 1.1"),
        (
            [HOLE, UNKNOWN],
            "",
            2,
            "NOT CHECKED: the index was asked about 2 packages and answered for 1: Dependency",
        ),
        (
            [WHOLE],
            "",
            2,
            "NOT CHECKED: the index was asked about 2 packages and answered for 1: it gave no answer",
        ),
        (
            [],
            "no route to it",
            2,
            "NOT CHECKED: the index was asked about 2 packages and answered for 0: no route",
        ),
    ],
)
def test_the_release_check_says_what_it_knows(packages, reason, code, said):
    text, found = audit.verdict(packages, reason, 2)
    assert found == code and text.startswith(said)


def test_the_release_check_believes_only_a_report(tmp_path):
    """pip-audit ends with 1 when it finds a hole, and also when it reaches nobody."""
    program, pins = tmp_path / "pip-audit", tmp_path / "pins.txt"
    pins.write_text("lower==1.0\n")
    program.write_text("#!/bin/sh\necho 'ERROR: could not connect' >&2\nexit 1\n")
    program.chmod(0o755)
    assert audit.asked(program, pins) == ([], "ERROR: could not connect")
    report = json.dumps({"dependencies": [HOLE]})
    program.write_text(
        f"""#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\necho '{report}' > "$2"\nexit 1\n"""
    )
    assert audit.asked(program, pins) == ([HOLE], "")
