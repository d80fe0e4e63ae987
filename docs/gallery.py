"""Writes the gallery: every figure of the experiments, with what it shows and the command that draws it.

Usage: python docs/gallery.py
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPERIMENTS = ("sawtooth", "two_layer", "backprop", "surfaces", "placebo")
PAGE = HERE / "gallery.md"


def captions(folder: Path) -> dict[str, str]:
    """What each figure of a study directory shows, by its stem."""
    path = folder / "figures" / "captions.json"
    return json.loads(path.read_text()) if path.exists() else {}


def text() -> str:
    """The page, in Markdown."""
    lines = [
        "# Gallery",
        "",
        "Every figure of the five replications, with what it shows. `jaxland run NAME` writes each as PNG and SVG, and",
        "the numbers behind it as tables in `analysis/`.",
    ]
    for name in EXPERIMENTS:
        folder = HERE.parent / "experiments" / name
        told = captions(folder)
        lines += ["", f"## {name}", "", f"[All of it, statement by statement](../experiments/{name}/README.md)"]
        lines += ["", f"```\njaxland run {name} --analyses all\n```"]
        for path in sorted([*folder.glob("figures/*.png"), *folder.glob("figures/*.gif")]):
            caption = told.get(path.stem, path.stem.replace("-", " "))
            lines += ["", f"![{caption}](../{path.relative_to(HERE.parent).as_posix()})", "", f"*{caption}*"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text())
    print(f"{PAGE}: {text().count('![')} figures")
