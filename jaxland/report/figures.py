"""The figures of a study directory, as images that a page can hold."""

import base64
import io
import json
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

# Of a drawing with more bytes its picture in points is taken, where there is one that weighs less.
SVG_LIMIT = 50_000
_WIDEST = 2048  # points across, twice what a screen gives a figure
_COLORS = 256
_MOST = 50_000_000  # points of a picture that is made lighter
_PLAIN = " !$()*+,-./:;=?@[]^_`{|}~"  # of a drawing, as they are in a data URI
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
        """The image as a data URI; drawings, which are text, take less room as such."""
        if self.kind == "image/svg+xml":
            with suppress(UnicodeDecodeError):
                text = " ".join(re.split("[ \n\r\t]+", self.content.decode()))
                return f"data:{self.kind},{quote(text, safe=_PLAIN)}"
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
    order = sorted(stems, key=_natural)
    with ThreadPoolExecutor() as pool:
        found = pool.map(_images, (stems[stem] for stem in order))
        for stem, (image, unreadable) in zip(order, found, strict=True):
            broken += [f"{stem}{suffix}" for suffix in unreadable]
            if image is not None:
                figures.append(_captioned(stem, image, captions.get(stem.split("/", 1)[1], "")))
    return figures, broken


def _images(paths: list[Path]) -> tuple[Image | None, list[str]]:
    """The image to be shown of the files of one figure, and the endings of those that cannot be read."""
    images = {path.suffix: _read(path) for path in paths}
    image = _choose(images.get(".svg"), images.get(".png")) or images.get(".gif")
    return image, [suffix for suffix, each in images.items() if each is None]


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
    if png is None or (svg is not None and len(svg.content) <= SVG_LIMIT):
        return svg
    picture = _light(png)
    if svg is None:
        return picture
    heavy = len(picture.content) < len(svg.content)
    return picture._replace(title=svg.title, description=svg.description) if heavy else svg


def _light(png: Image) -> Image:
    """The picture with as many points as a screen shows and few colours, where that makes it lighter.

    Edges and text stay sharp: what is lost are shades between colours that lie close to each other.
    """
    import PIL.Image  # takes a while, and pages without pictures do without

    if png.width * png.height > _MOST:
        return png
    try:
        picture = PIL.Image.open(io.BytesIO(png.content)).convert("RGBA")
        # What can be seen through shows the page, which is white behind figures.
        picture = PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        if picture.width > _WIDEST:
            size = _WIDEST, max(round(picture.height * _WIDEST / picture.width), 1)
            picture = picture.resize(size, PIL.Image.Resampling.LANCZOS)
        few = picture.quantize(_COLORS, PIL.Image.Quantize.MAXCOVERAGE, dither=PIL.Image.Dither.NONE)
        content = io.BytesIO()
        few.convert("RGB").save(content, "WEBP", lossless=True)
    except (OSError, ValueError, SyntaxError):
        return png  # the browser may know better
    light = content.getvalue()
    return png._replace(kind="image/webp", content=light) if len(light) < len(png.content) else png


def _captioned(stem: str, image: Image, caption: str) -> Figure:
    name = stem.split("/", 1)[1]
    numbered = _NUMBERED.fullmatch(name)
    label, words = (f"{numbered[1].capitalize()} {numbered[2].lstrip('0')}", numbered[3]) if numbered else ("", name)
    words = re.sub(r"[-_/\s]+", " ", words).strip()
    return Figure(stem, label, image.title or words[:1].upper() + words[1:], caption or image.description, image)
