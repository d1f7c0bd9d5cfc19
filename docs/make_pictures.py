"""The README's pictures, taken out of the notebooks as they were run: the training card and the comparison.

make notebooks                          # runs the lesson, keeps the notebooks as run, and the pictures
.venv/bin/python docs/make_pictures.py  # the pictures only
"""

from __future__ import annotations

from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
PICTURES = {"training": "02-train.ipynb", "comparison": "04-verify.ipynb"}
"""Each picture is the first one of a notebook."""


def picture(notebook: Path) -> str:
    """The first picture that a notebook shows, as SVG."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            if svg := output.get("data", {}).get("image/svg+xml"):
                return "".join(svg) + "\n"
    raise SystemExit(f"{notebook} shows no picture. Run it first:  make notebooks")


def main() -> None:
    """Write the pictures."""
    for name, notebook in PICTURES.items():
        path = ROOT / "docs" / "pictures" / f"{name}.svg"
        path.parent.mkdir(exist_ok=True)
        path.write_text(picture(ROOT / "notebooks" / notebook), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
