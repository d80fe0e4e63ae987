"""The figures of a study directory, as images that a page can hold."""

import base64
import json
import re
import struct
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

# A drawing with more bytes is slow to show; its picture in points is taken where there is one.
SVG_LIMIT = 400_000
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_NUMBERED = re.compile(r"(figure|section|table)-([\d.]+)-(.+)")
_WORK = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF/{http://creativecommons.org/ns#}Work"
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


class Image(NamedTuple):
    """One file of a figure.

    Attributes:
        kind: media type.
        content: bytes of the file.
        width, height: in its own units; their ratio is what counts.
        title, description: what the file says of itself, "" where it says nothing.
    """

    kind: str
    content: bytes
    width: float
    height: float
    title: str = ""
    description: str = ""

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return f"data:{self.kind};base64,{base64.b64encode(self.content).decode()}"


class Figure(NamedTuple):
    """A figure with its caption.

    Attributes:
        path: in the study directory, without the ending.
        label: its number, such as "Figure 5", or "".
        title: what it shows.
        description: a longer caption, or "".
        image: the file chosen to be shown.
    """

    path: str
    label: str
    title: str
    description: str
    image: Image


def read_figures(directory: Path) -> tuple[list[Figure], list[str]]:
    """The figures under `figures/` in order of their names, and the names of files that cannot be shown.

    Captions come from `figures/captions.json`, what its analysis says of each figure; else from the file's own title
    and description (Dublin Core, as `Figure.savefig(metadata={"Title": ..., "Description": ...})` writes them into an
    SVG), and where it has none from its name.
    """
    captions = _captions(directory / "figures" / "captions.json")
    stems: dict[str, list[Path]] = {}
    for path in sorted((directory / "figures").rglob("*")):
        if path.suffix in _READERS and not path.name.startswith("."):
            stems.setdefault(path.relative_to(directory).with_suffix("").as_posix(), []).append(path)
    figures, broken = [], []
    for stem in sorted(stems, key=_natural):
        images = {path.suffix: _read(path) for path in stems[stem]}
        broken += [f"{stem}{suffix}" for suffix, image in images.items() if image is None]
        image = _choose(images.get(".svg"), images.get(".png")) or images.get(".gif")
        if image is not None:
            figures.append(_captioned(stem, image, captions.get(stem.split("/", 1)[1], "")))
    return figures, broken


def _captions(path: Path) -> dict[str, str]:
    """The captions by stem; none where there is no file of them, or it is damaged."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {stem: text for stem, text in told.items() if isinstance(text, str)} if isinstance(told, dict) else {}


def _natural(stem):
    """Sorts figure-10 behind figure-9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", stem)]


def _read(path):
    try:
        return _READERS[path.suffix](path.read_bytes())
    except (OSError, ValueError, ElementTree.ParseError, struct.error):
        return None


def _read_png(content: bytes) -> Image:
    if not content.startswith(_PNG_START) or not content.endswith(_PNG_END):
        raise ValueError("not a whole PNG file")
    return Image("image/png", content, *struct.unpack(">II", content[16:24]))


def _read_svg(content: bytes) -> Image:
    root = ElementTree.fromstring(content)
    if root.tag != "{http://www.w3.org/2000/svg}svg":
        raise ValueError("not an SVG file")
    _, _, width, height = map(float, re.split(r"[\s,]+", root.attrib.get("viewBox", "").strip()))
    work = root.find(f"{{*}}metadata/{_WORK}")
    title, description = (
        "" if work is None else (work.findtext(f"{_DUBLIN_CORE}{name}") or "").strip()
        for name in ("title", "description")
    )
    return Image("image/svg+xml", content, width, height, title, description)


def _read_gif(content: bytes) -> Image:
    if content[:6] not in (b"GIF87a", b"GIF89a") or not content.endswith(b";"):
        raise ValueError("not a whole GIF file")
    return Image("image/gif", content, *struct.unpack("<HH", content[6:10]))


_READERS = {".png": _read_png, ".svg": _read_svg, ".gif": _read_gif}


def _choose(svg: Image | None, png: Image | None) -> Image | None:
    """The drawing, unless it is heavy and the picture in points is not; words are those of the drawing."""
    if svg is None or png is None:
        return svg or png
    heavy = len(svg.content) > SVG_LIMIT and len(png.content) < len(svg.content)
    return png._replace(title=svg.title, description=svg.description) if heavy else svg


def _captioned(stem: str, image: Image, caption: str) -> Figure:
    name = stem.split("/", 1)[1]
    numbered = _NUMBERED.fullmatch(name)
    label, words = (f"{numbered[1].capitalize()} {numbered[2].lstrip('0')}", numbered[3]) if numbered else ("", name)
    words = re.sub(r"[-_/\s]+", " ", words).strip()
    return Figure(stem, label, image.title or words[:1].upper() + words[1:], caption or image.description, image)
