"""Chat templates: how they are rendered, and how they are looked at before llama.cpp gets them.

A template is a small program, and llama.cpp runs it on the stack of the whole process. One that is nested very
deep, or that calls itself, would end the process. So its form is checked here, with the parser of jinja2.

Left out: how long a template takes. One that loops for hours keeps the model that it belongs to from answering.
"""

import re

from jinja2 import TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from openai_local.errors import LocalError

TEMPLATES = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
"""Renders chat templates with the settings of transformers and llama.cpp."""

_DEEPEST = 150
_RAW = re.compile(r"\{%[-+]?\s*raw\b")
_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)


def check_template(source: str, where: str) -> None:
    """Check that a chat template is not nested deep, and that no part of it can run within itself."""
    try:
        raw = "has a part in raw" if _RAW.search(source) else None
        problem = _problem(TEMPLATES.parse(source)) or raw
    except RecursionError:
        problem = "is nested too deep"
    except (TemplateError, ValueError) as error:
        problem = f"can't be read ({str(error)[:100]!r})"
    if problem:
        raise LocalError(
            f"{where} can't be used: its chat template {problem}. Give the model a simpler template, or none."
        )


def _problem(template: nodes.Template) -> str | None:
    defined: set[str] = set()
    left: list[tuple[nodes.Node, int, str | None]] = [(template, 0, None)]
    called: set[int] = set()
    macros = {macro.name for macro in template.find_all(nodes.Macro)}
    while left:
        node, depth, macro = left.pop()
        if depth > _DEEPEST:
            return "is nested too deep"
        if isinstance(node, _OTHER_FILES):
            return "has blocks, or parts in other files"
        if isinstance(node, nodes.For) and node.recursive:
            return "has a loop that calls itself"
        if isinstance(node, nodes.Macro):
            if node.name in defined:
                return f"has the macro {node.name[:40]!r} twice"
            defined.add(node.name)
            macro = node.name
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in defined:
            if node.node.name == macro:
                return f"has the macro {macro[:40]!r}, which calls itself"
            called.add(id(node.node))
        elif isinstance(node, nodes.Name) and node.name in macros and id(node) not in called:
            return f"uses the macro {node.name[:40]!r} before it is made, or otherwise than by calling it"
        left += [(child, depth + 1, macro) for child in reversed([*node.iter_child_nodes()])]
    return None


def is_chatml(template: str) -> bool:
    """Whether a chat template puts each message between ``<|im_start|>`` with its role and ``<|im_end|>``."""
    return _rendered(template).endswith("<|im_start|>user\nX<|im_end|>\n<|im_start|>assistant\n")


def system_message(template: str) -> str:
    """What a ChatML template says as the system before a conversation without such a message."""
    before = _rendered(template).partition("<|im_start|>user\n")[0]
    return before.removeprefix("<|im_start|>system\n").partition("<|im_end|>")[0]


def _rendered(template: str) -> str:
    """A conversation of one question; empty if the template is empty or can't be understood."""
    question = [{"role": "user", "content": "X"}]
    try:
        return TEMPLATES.from_string(template).render(messages=question, add_generation_prompt=True)
    except TemplateError:
        return ""
