"""The files of a Hugging Face folder: its JSON and its weights, read with a sentence for what is wrong.

Weights are read from safetensors only: files that Python has to unpickle can run programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from openai_local.errors import LocalError

_TYPES = ("F32", "F16", "BF16")


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is `optional` and not there.

    Raises:
        LocalError: it is missing or no JSON object.
    """
    if optional and not path.exists():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(
            f"{path.parent} has no {path.name}. A Hugging Face folder has config.json, tokenizer.json and "
            "*.safetensors; name such a folder, or a .gguf file."
        ) from None
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise LocalError(f"{path} is not valid JSON. Copy or fetch it again.") from None
    if not isinstance(read, dict):
        raise LocalError(f"{path} is not a JSON object. Copy or fetch it again.")
    return read


def _parts(folder: Path) -> list[Path]:
    """The folder's safetensors: those that the index lists, or all of them."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = read_json(index).get("weight_map")
        names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        for name in names:
            if Path(name).name != name or not (folder / name).exists():
                raise LocalError(f"{index} names the file {name}, which is not in {folder}. Is the folder whole?")
        return [folder / name for name in names]
    if found := sorted(folder.glob("*.safetensors")):
        return found
    others = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
    why = (
        f"{others[0].name} is not opened: such a file can run programs. Save the model as safetensors"
        if others
        else "Name a folder that has some, or a .gguf file"
    )
    raise LocalError(f"{folder} has no weights in *.safetensors. {why}.")


class Weights:
    """The tensors in a folder's safetensors, which are read one at a time. `shapes` has their shapes by name."""

    def __init__(self, folder: Path) -> None:
        """Look at all files without reading the numbers. Raises `LocalError` for what can't be used."""
        from safetensors import SafetensorError, safe_open

        self.shapes: dict[str, tuple[int, ...]] = {}
        self.files: dict[str, Any] = {}
        for path in _parts(folder):
            try:
                file = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise LocalError(f"{path} can't be read: {error}. Copy or fetch it again.") from None
            for name in file.keys():  # noqa: SIM118 (it is no dictionary)
                part = file.get_slice(name)
                if part.get_dtype() not in _TYPES:
                    raise LocalError(
                        f"{path} keeps {name} as {part.get_dtype()}; weights of {', '.join(_TYPES)} can be used."
                    )
                if name in self.files:
                    raise LocalError(f"The tensor {name} is twice in {folder}: are there two models in it?")
                self.shapes[name], self.files[name] = tuple(part.get_shape()), file

    def read(self, name: str) -> np.ndarray:
        """One tensor in float32."""
        return self.files[name].get_tensor(name).float().numpy()
