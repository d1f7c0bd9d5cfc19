"""The three places that say what is installed agree: pyproject.toml, environment.yml, constraints.txt."""

import json
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch": "torch"}


def split(requirement: str) -> tuple[str, str]:
    name, version = re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", requirement.replace(" ", "")).groups()
    return CONDA_NAMES.get(name, name), version


def test_conda_and_pip_ask_for_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == "openai" and environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert "python=3.12" in conda and pip["pip"][-1] == "-e ."
    named = [split(r) for r in [*conda, *pip["pip"][:-1]] if not r.startswith("python=")]
    assert sorted(named) == sorted(map(split, PROJECT["dependencies"]))


def test_everything_is_pinned_for_make():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    assert {re.sub(r"[-_.]+", "-", split(r)[0]).lower() for r in wanted} <= pinned
    assert not any("+" in version or "@" in version for version in pins.values())


def test_the_pins_are_among_what_is_asked_for():
    """Conda chooses its own versions; those of make are ones that it could choose, too."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_kernelspec():
    spec = json.loads((ROOT / "kernel" / "kernel.json").read_text())
    assert spec["display_name"] == "OpenAI" and spec["language"] == "python"
    assert spec["argv"][0] == "python" and "{connection_file}" in spec["argv"]
    for logo in ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg"):
        assert (ROOT / "kernel" / logo).stat().st_size > 100


def test_the_kernel_is_installed_with_the_package():
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("openai")
    assert spec.display_name == "OpenAI"
