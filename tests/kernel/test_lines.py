"""The lesson's lines as Python, and Python that only looks like them."""

import pytest

from openai_kernel.lines import transform


def read(cell):
    return "".join(transform((cell + "\n").splitlines(keepends=True))).rstrip("\n")


def call(magic, line):
    return f"get_ipython().run_line_magic({magic!r}, {line!r})"


@pytest.mark.parametrize(
    ("line", "magic", "rest"),
    [
        ("openai tools fine_tunes.prepare_data -f a.csv", "openai", "tools fine_tunes.prepare_data -f a.csv"),
        ('openai api completions.create -m ada -p "What\'s sin?"', "openai", None),
        ("$ openai api models.list", "openai", "api models.list"),
        ("$openai api models.list", "openai", "api models.list"),
        ("openai -b local api models.list", "openai", "-b local api models.list"),
        ("openai --help", "openai", "--help"),
        ("export OPENAI_API_KEY=abc", "export", "OPENAI_API_KEY=abc"),
        ('$ export A="two words"', "export", 'A="two words"'),
        ("set OPENAI_API_KEY=abc", "export", "OPENAI_API_KEY=abc"),
        ("set A=two words", "export", "A='two words'"),
        ('set "A=b"', "export", "A=b"),
        ("cd data", "cd", "data"),
        ("cd ..", "cd", ".."),
        ("cd ~/lesson", "cd", "~/lesson"),
        ("cd /tmp", "cd", "/tmp"),
        ('cd "My folder"', "cd", '"My folder"'),
        ("$ cd", "cd", ""),
        ("pip install openai", "lesson_pip", "install openai"),
        ("$ pip install --upgrade openai pandas", "lesson_pip", "install --upgrade openai pandas"),
    ],
)
def test_the_lessons_lines(line, magic, rest):
    rest = line.partition(" ")[2] if rest is None else rest
    assert read(line) == call(magic, rest)
    assert read(f"if True:\n    {line}\nx = 1") == f"if True:\n    {call(magic, rest)}\nx = 1"


@pytest.mark.parametrize(
    "cell",
    [
        "openai.models.list()",
        "openai = 3",
        "openai",
        "openai.api_key = 'abc'",
        "set = {1, 2}",
        "set NAME = 3",
        "set(x)",
        "{*set}",
        "set == {1}",
        "cd = 5",
        "cd",
        "cd - 1",
        "cd + (\n1)",
        "cd is None",
        "cd / 2",
        "cd.x",
        "cd == [\n1]",
        "export = 1",
        "export(a=1)",
        "pip = 1",
        "pip.main()",
        "# export A=b",
        "text = '''\nexport A=b\nopenai api models.list\n'''",
        'text = """it\'s\ncd ..\n"""',
        "text = r'''\\\ncd ..\n'''",
        "f(\nset,\n)",
        "x = [\n# (\n'cd',\n]",
        "x = 1 + \\\nset",
        "%%bash\nexport A=b\ncd ..",
        "%%writefile x.sh\nopenai api models.list",
        "!openai api models.list",
        "%cd ..",
        "print('a \\\ncd ..')",
    ],
)
def test_what_stays_python(cell):
    assert read(cell) == cell


def test_a_backslash_continues_the_line_and_keeps_the_count_of_lines():
    cell = "openai api completions.create \\\n  -m ada \\\n  -p Hello\nx = 1"
    assert read(cell) == call("openai", "api completions.create -m ada -p Hello") + "\n\n\nx = 1"


def test_lines_between_python():
    cell = "x = '''a'''  # it's\nexport A=b\ny = (1,\n  2)\n!echo it's\ncd ..\nz = f\"{x}\"\nexport C=d"
    assert read(cell).count("run_line_magic") == 3


def test_a_comment_that_ends_in_a_backslash_ends():
    assert read("# see C:\\\nexport A=b").endswith(call("export", "A=b"))
