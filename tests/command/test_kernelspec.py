"""Kernelspecs that hide ours or are dead, and ours for a Jupyter elsewhere; all in folders of the test."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ipykernel.kernelspec import RESOURCES
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel

import openai_command
from openai_command import kernelspec
from openai_command.doctor import kernels, remedies
from openai_command.doctor.remedies import State, ok, wrong
from openai_command.lesson import main
from openai_lesson import LessonError

OURS = ok('Jupyter takes the kernel "OpenAI" of this environment.')


@pytest.fixture(autouse=True)
def user(tmp_path, monkeypatch):
    """The user's own kernels, first where Jupyter does not prefer the environment's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PATH", f"{remedies.scripts()}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    return tmp_path / "jupyter" / "kernels"


def plant(folder, *argv):
    """A kernelspec."""
    folder.mkdir(parents=True)
    spec = {"argv": [*argv, "-f", "{connection_file}"], "display_name": "Other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def stock_kernel_of_2022():
    words = ["-m", "ipykernel", "install", "--user", "--name", "openai", "--display-name", "OpenAI"]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def mend(line):
    subprocess.run(["bash", "-c", line.mend], check=True, capture_output=True, timeout=60)


def test_all_is_well():
    assert kernels.kernels() == [OURS]


def test_the_kernel_that_jupyter_makes_up_is_no_broken_one(monkeypatch):
    """Where there is no folder for it, the kernel of Jupyter's own Python has no file."""
    made_up = {"python3": RESOURCES, "openai": str(kernels.everywhere()[0].folder)}
    monkeypatch.setattr(KernelSpecManager, "find_kernel_specs", lambda _: made_up)
    assert kernels.kernels() == [OURS]


def test_the_stock_kernel_of_2022_hides_ours(user):
    stock_kernel_of_2022()
    [line] = kernels.kernels()
    assert (
        line.state is State.WRONG and "from ~/jupyter/kernels/openai. That is a stock Python kernel" in line.text
    )
    assert line.mend == "openai-lesson kernel remove --user"
    mend(line)
    assert kernels.kernels() == [OURS] and not (user / "openai").exists()


def test_it_is_named_where_ours_wins(user, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    stock_kernel_of_2022()
    first, second = kernels.kernels()
    assert first == OURS and second.state is State.WARNING
    assert 'a second kernel "openai" in ~/jupyter/kernels/openai, which is not the lesson\'s' in second.text
    mend(second)
    assert kernels.kernels() == [OURS]


def test_ours_of_an_environment_that_is_gone(user, tmp_path):
    plant(user / "openai", str(tmp_path / "old" / "bin" / "python"), "-m", kernelspec.MODULE)
    [line] = kernels.kernels()
    assert line.state is State.WRONG and "starts a Python that is gone (~/old/bin/python)" in line.text
    assert line.mend == "openai-lesson kernel install --user"
    mend(line)
    assert kernels.kernels() == [OURS]
    assert json.loads((user / "openai" / "kernel.json").read_text())["argv"][0] == sys.executable


def test_ours_of_another_environment(user, tmp_path):
    (other := tmp_path / "other" / "bin").mkdir(parents=True)
    (other / "python").symlink_to(sys.executable)
    plant(user / "openai", str(other / "python"), "-m", kernelspec.MODULE)
    [line] = kernels.kernels()
    assert line.state is State.WARNING and "of another environment (~/other/bin/python)" in line.text
    mend(line)
    assert kernels.kernels() == [OURS]


def test_ours_of_an_older_version_does_not_start_and_is_replaced(user):
    plant(user / "openai", "python", "-P", "-m", kernelspec.EARLIER_MODULE)
    [line] = kernels.kernels()
    assert line == wrong(
        'The kernel "OpenAI" in ~/jupyter/kernels/openai is from an older version of the lesson, and does not '
        "start any more.",
        "openai-lesson kernel install --user",
    )
    mend(line)
    assert kernels.kernels() == [OURS]
    argv = json.loads((user / "openai" / "kernel.json").read_text())["argv"]
    assert argv[0] == sys.executable and kernelspec.MODULE in argv


def test_ours_of_an_older_version_where_it_is_hidden_is_replaced_too(user, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    plant(user / "openai", sys.executable, "-m", kernelspec.EARLIER_MODULE)
    first, second = kernels.kernels()
    assert first == OURS and second.state is State.WARNING and "from an older version" in second.text
    assert second.mend == "openai-lesson kernel install --user"
    mend(second)
    assert kernels.kernels() == [OURS]


def test_ours_of_an_older_version_is_removed_and_may_start_in_another_environment(user, tmp_path):
    (other := tmp_path / "other" / "bin").mkdir(parents=True)
    (other / "python").symlink_to(sys.executable)
    plant(user / "openai", str(other / "python"), "-m", kernelspec.EARLIER_MODULE)
    assert "starts the Python of another environment" in kernels.kernels()[0].text
    assert main(["kernel", "remove"]) == 0 and not (user / "openai").exists()


def test_a_dead_kernel_and_one_that_can_not_be_read(user, tmp_path):
    plant(user / "thesis", str(tmp_path / "gone" / "python"), "-m", "ipykernel_launcher")
    (user / "broken").mkdir()
    (user / "broken" / "kernel.json").write_text("{")
    first, *others = kernels.kernels()
    assert first == OURS
    assert {line.mend for line in others} == {
        f"jupyter kernelspec remove -f {name}" for name in ("thesis", "broken")
    }
    thesis = next(line for line in others if "thesis" in line.text)
    assert thesis.state is State.WARNING and "starts a Python that is gone (~/gone/python)" in thesis.text
    for line in others:
        mend(line)
    assert kernels.kernels() == [OURS]


def test_one_in_a_place_of_jupyter_path(user, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "site" / "share" / "jupyter"))
    plant(tmp_path / "site" / "share" / "jupyter" / "kernels" / "openai", "python", "-m", "ipykernel_launcher")
    [line] = kernels.kernels()
    assert line.mend == "openai-lesson kernel remove --prefix ~/site"
    mend(line)
    assert kernels.kernels() == [OURS]


def test_install_for_another_jupyter(tmp_path, monkeypatch, capsys):
    other = tmp_path / "base"
    assert main(["kernel", "install", "--prefix", str(other)]) == 0
    folder = other / "share" / "jupyter" / "kernels" / "openai"
    assert str(folder) in capsys.readouterr().out
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in kernelspec.source().iterdir())
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable and spec["metadata"]["debugger"] is True
    monkeypatch.setenv("JUPYTER_PATH", str(other / "share" / "jupyter"))
    manager, client = start_new_kernel(kernel_name="openai", cwd=str(tmp_path))
    said = []
    client.execute_interactive(
        "import sys; print(sys.executable)",
        output_hook=lambda message: said.append(message["content"].get("text", "")),
        timeout=60,
    )
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert manager.kernel_spec.resource_dir == str(folder) and sys.executable in "".join(said)
    assert main(["kernel", "install", "--prefix", str(other)]) == 0, "once more is fine"
    assert main(["kernel", "remove", "--prefix", str(other)]) == 0 and not folder.exists()
    assert main(["kernel", "remove", "--prefix", str(other)]) == 1
    assert "There is no kernel" in capsys.readouterr().err


def test_what_belongs_to_others_stays(user):
    plant(user / "openai", "/usr/bin/julia", "kernel.jl")
    before = (user / "openai" / "kernel.json").read_text()
    for action in (kernelspec.install, kernelspec.remove):
        with pytest.raises(LessonError, match="neither the lesson's nor a stock Python kernel"):
            action()
    assert (user / "openai" / "kernel.json").read_text() == before


def test_no_permission(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LessonError, match=r"can't be written to: Not a directory.*kernel install --user"):
        kernelspec.install(prefix=tmp_path / "file")


def test_without_a_checkout(tmp_path, monkeypatch):
    """The files come from the environment's own kernelspec."""
    share = tmp_path / "env" / "share" / "jupyter" / "kernels"
    shutil.copytree(kernelspec.source(), share / "openai")
    monkeypatch.setattr(openai_command, "CHECKOUT", tmp_path / "lib")
    monkeypatch.setattr(openai_command.sysconfig, "get_path", lambda _: str(tmp_path / "env"))
    assert kernelspec.source() == share / "openai"
    assert kernelspec.install(prefix=tmp_path / "env") == share / "openai", "over itself"
    assert Path(json.loads((share / "openai" / "kernel.json").read_text())["argv"][0]) == Path(sys.executable)
    shutil.rmtree(share)
    with pytest.raises(LessonError, match="Install the package again"):
        kernelspec.source()
