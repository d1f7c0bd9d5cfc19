"""The site's file, and the batch script that comes of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openai_local.errors import LocalError
from openai_local.runners.site import Site, environment, read_site, script

TEMPLATE = Path(__file__).parents[2] / "docs" / "site.toml"
LINES = TEMPLATE.read_text(encoding="utf-8").splitlines()
SHOWN = re.compile(r"^#?(\w+) = ")


def site(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return read_site(path)


def test_all_words_are_read(tmp_path):
    text = """
        partition = "teaching"
        account = "course_1"
        qos = "short"
        reservation = "class:monday"
        time = "1-12:00:00"
        cores = 8
        memory = "16G"
        gpus = "a100:1"
        modules = ["gcc/13", "python/3.12"]
        setup = ["source ~/miniconda3/etc/profile.d/conda.sh", "conda activate openai"]
        python = "~/envs/openai/bin/python"
        at_once = 20
    """
    found = site(tmp_path, text)
    assert found == Site(
        partition="teaching",
        account="course_1",
        qos="short",
        reservation="class:monday",
        time="1-12:00:00",
        cores=8,
        memory="16G",
        gpus="a100:1",
        modules=("gcc/13", "python/3.12"),
        setup=("source ~/miniconda3/etc/profile.d/conda.sh", "conda activate openai"),
        python=str(Path.home() / "envs/openai/bin/python"),
        at_once=20,
    )
    assert script(Path("/jobs/ftjob-1"), found).splitlines()[:16] == [
        "#!/bin/bash -l",
        "#SBATCH --partition=teaching",
        "#SBATCH --account=course_1",
        "#SBATCH --qos=short",
        "#SBATCH --reservation=class:monday",
        "#SBATCH --time=1-12:00:00",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=16G",
        "#SBATCH --gres=gpu:a100:1",
        "#SBATCH --output=train.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --requeue",
        "",
        "# What this cluster needs first",
    ]


def test_an_empty_file_leaves_most_to_the_cluster(tmp_path):
    found = site(tmp_path, "")
    assert found == Site() and (found.at_once, found.python) == (100, sys.executable)
    text = script(tmp_path, found)
    assert not re.search("partition|account|qos|gres|reservation|first", text)


def test_the_template_can_be_used_as_it_is():
    assert read_site(TEMPLATE) == Site()


def test_the_template_shows_every_word():
    assert {found[1] for line in LINES if (found := SHOWN.match(line))} == set(Site.__dataclass_fields__)


@pytest.mark.parametrize("line", [line for line in LINES if SHOWN.match(line) and line.startswith("#")])
def test_what_the_template_has_commented_out_is_right(tmp_path, line):
    site(tmp_path, line.removeprefix("#"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('colour = "red"', "a word that is not known: colour. There are partition,"),
        ('cores = "4"', "cores = '4' is no number"),
        ("cores = 0", "cores = 0 is no number"),
        ("cores = true", "cores = True is no number"),
        ("cores = 1.5", "cores = 1.5 is no number"),
        ("at_once = -1", "at_once = -1 is no number"),
        ('memory = "4 GB"', "memory = '4 GB' is no amount"),
        ('time = "an hour"', "time = 'an hour' is no time limit"),
        ('time = "0:00:00"', "is no time limit"),
        ("time = 30", "time = 30 is no time limit"),
        ("time = 07:32:00", "is no time limit"),
        ('partition = "a b"', "partition = 'a b' is no name"),
        ('partition = "--wrap=x"', "is no name"),
        ('account = "a\\n#SBATCH --uid=0"', "is no name"),
        ('qos = "a\\u0085b"', "is no name"),
        ('reservation = "$(id)"', "is no name"),
        ("gpus = 0", "gpus = 0 is no number of graphics cards"),
        ('gpus = "many"', "is no number of graphics cards"),
        ('modules = "python/3.12"', "modules = 'python/3.12' is no list of modules"),
        ('modules = ["a\\nb"]', "is no list of modules"),
        ('setup = ["a\\nrm -r x"]', "Write each line by itself"),
        ("setup = [3]", "is no list of lines"),
        ('python = ""', "is no program"),
        ('python = "a\\nb"', "is no program"),
        ("cores =", "is no TOML"),
        ("partition = teaching", "Texts stand in quotes"),
    ],
)
def test_what_can_not_be_used_is_named(tmp_path, line, said):
    with pytest.raises(LocalError) as caught:
        site(tmp_path, line)
    assert said in str(caught.value) and "site.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(
        LocalError, match=r"nowhere\.toml can't be read: No such file or directory\. docs/site\.toml"
    ):
        read_site(tmp_path / "nowhere.toml")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_names_reach_the_commands_whole(tmp_path):
    """Run by a real shell, with a module command and a Python that only write down what they are given."""
    folder = tmp_path / "a job's $(touch bad) %j"
    folder.mkdir()
    python = tmp_path / "my python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$OMP_NUM_THREADS" "$MARK" "$@" > given.txt\n')
    python.chmod(0o755)
    module = 'module() { printf "%s\\n" "$@" >> modules.txt; }'
    made = Site(python=str(python), modules=("a/1", "b; touch bad"), setup=("export MARK=set",))
    text = script(folder, made).replace("#!/bin/bash -l\n", f"#!/bin/bash\n{module}\n")
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env={"SLURM_CPUS_PER_TASK": "3", "PATH": "/bin:/usr/bin"}, check=True
    )
    assert done.returncode == 0
    given = (tmp_path / "given.txt").read_text().splitlines()
    assert given == ["3", "set", "-P", "-m", "openai_local.training", str(folder), "120"]
    assert (tmp_path / "modules.txt").read_text().splitlines() == ["load", "a/1", "load", "b; touch bad"]
    assert not list(tmp_path.glob("**/bad"))


def test_no_key_goes_along():
    ours = {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "MODULEPATH": "/modules",
        "BASH_FUNC_module%%": "() { :; }",
        "CONDA_PREFIX": "/conda",
        "SLURM_CONF": "/slurm.conf",
        "OPENAI_LOCAL_CACHE": "/cache",
        "OPENAI_API_KEY": "secret",
        "JUPYTERHUB_API_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "1000",
        "SBATCH_PARTITION": "other",
    }
    assert list(environment(ours)) == list(ours)[:7]
