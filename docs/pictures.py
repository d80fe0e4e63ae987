"""Makes the pictures of the pages again, by running the pages: those that a block saves and the page shows.

Usage: python docs/pictures.py [PAGE ...] (by default every page that shows one; minutes)
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image

HERE = Path(__file__).resolve().parent
_COLORS = 256


def shown(page: Path) -> list[str]:
    """Names of the pictures that a page shows and makes itself."""
    text = page.read_text()
    return [name for name in re.findall(r"\]\(pictures/([\w-]+\.png)\)", text) if f'savefig("{name}"' in text]


def renew(page: Path) -> list[str]:
    """Runs the blocks of a page in an empty folder and keeps its pictures."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            exec(compile(code, str(page), "exec"), {"__name__": page.stem})
        finally:
            os.chdir(before)
        for name in shown(page):
            drawn = Image.open(Path(folder) / name).convert("RGB")
            # Of so many colours nothing is seen to be missing, and a third of the bytes is.
            drawn.quantize(_COLORS, dither=Image.Dither.NONE).save(HERE / "pictures" / name, optimize=True)
    return shown(page)


if __name__ == "__main__":
    matplotlib.use("Agg")
    (HERE / "pictures").mkdir(exist_ok=True)
    pages = [HERE / f"{name}.md" for name in sys.argv[1:]] or [
        page for page in sorted(HERE.glob("*.md")) if shown(page)
    ]
    for page in pages:
        print(f"{page.name}: {', '.join(renew(page))}")
