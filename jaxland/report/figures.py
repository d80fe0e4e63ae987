"""The figures of a study directory, as images that a page can hold."""

import base64
import io
import json
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np

# Of a drawing with more bytes its picture in points is taken, where there is one that weighs less.
SVG_LIMIT = 50_000
LIMIT = 1_200_000  # characters of all pictures of a page that do not move, and as many of those that do
_HEAVIEST, _LEAST = 130_000, 30_000  # characters of one: at most, and what each may have however many there are
_WIDEST = 2048  # points across, twice what a screen gives a figure
_COLORS = (64, 128, 256)
_CHANGE = 16  # of 255: by so much a colour may be another one
_QUALITY = 75  # of a picture that is too heavy without loss
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
        moves: whether it is an animation.
    """

    kind: str
    content: bytes
    width: float
    height: float
    title: str = ""
    description: str = ""
    moves: bool = False

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
        still: whether it is the first picture of an animation that is too heavy.
    """

    path: str
    label: str
    title: str
    description: str
    image: Image
    still: bool = False


class Figures(NamedTuple):
    """The figures of a study directory.

    Attributes:
        figures: in order of their names.
        broken: names of files that cannot be shown.
        left_out: names of figures for which there is no room.
    """

    figures: list[Figure]
    broken: list[str]
    left_out: list[str]


def read_figures(directory: Path) -> Figures:
    """The figures under `figures/`, all together no heavier than `LIMIT`, and animations likewise: pictures lose
    colours and points for that, animations stand still, and the last ones are left out where there are more than forty.

    Captions come from `figures/captions.json`, what its analysis says of each figure; else from the file's own title
    and description (Dublin Core, as `Figure.savefig(metadata={"Title": ..., "Description": ...})` writes them into an
    SVG), and where it has none from its name.
    """
    captions = _captions(directory / "figures" / "captions.json")
    stems: dict[str, list[Path]] = {}
    for path in sorted((directory / "figures").rglob("*")):
        if path.suffix in _READERS and not path.name.startswith("."):
            stems.setdefault(path.relative_to(directory).with_suffix("").as_posix(), []).append(path)
    broken, images = [], {}
    order = sorted(stems, key=_natural)
    with ThreadPoolExecutor() as pool:
        for stem, (image, unreadable) in zip(order, pool.map(_images, (stems[stem] for stem in order)), strict=True):
            broken += [f"{stem}{suffix}" for suffix in unreadable]
            if image is not None:
                images[stem] = image
        room = LIMIT // _LEAST
        left_out = list(images)[room:]
        images = {stem: images[stem] for stem in list(images)[:room]}
        moving = _moving(images)
        weights = {stem: len(image.uri) for stem, image in images.items() if stem not in moving}
        most = _share([*weights.values()])
        heavy = [stem for stem in weights if weights[stem] > most or images[stem].moves]
        for stem, (image, _) in zip(
            heavy, pool.map(lambda stem: _images(stems[stem], most, False), heavy), strict=True
        ):
            if image is None or len(image.uri) > most:
                left_out.append(stem)
                del images[stem]
            else:
                images[stem] = image
    figures = [_captioned(stem, each, captions.get(stem.split("/", 1)[1], "")) for stem, each in images.items()]
    return Figures([each._replace(still=_is_still(each, stems[each.path])) for each in figures], broken, left_out)


def _share(weights: list[int]) -> int:
    """What each picture may weigh so that all together weigh no more than they may: the light ones leave room."""
    most, rest = _HEAVIEST, LIMIT
    for place, each in enumerate(sorted(weights)):
        most = min(_HEAVIEST, rest // (len(weights) - place))
        if each > most:
            return most
        rest -= each
    return _HEAVIEST


def _moving(images: dict[str, Image]) -> set[str]:
    """The animations that there is room for, in order."""
    kept, rest = set(), LIMIT
    for stem, image in images.items():
        if image.moves and len(image.uri) <= rest:
            kept.add(stem)
            rest -= len(image.uri)
    return kept


def _is_still(figure: Figure, paths: list[Path]) -> bool:
    return not figure.image.moves and all(path.suffix == ".gif" for path in paths)


def _images(paths: list[Path], most: int = _HEAVIEST, moving: bool = True) -> tuple[Image | None, list[str]]:
    """The image to be shown of the files of one figure, where it does not move of so many characters at most where that
    can be reached, and the endings of those that cannot be read."""
    images = {path.suffix: _read(path) for path in paths}
    image = _choose(images.get(".svg"), images.get(".png"), most)
    if image is None and (gif := images.get(".gif")) is not None:
        image = _light_animation(gif) if moving else _light(gif, most)._replace(moves=False)
    return image, [suffix for suffix, each in images.items() if each is None]


def _light_animation(gif: Image) -> Image:
    """The same pictures in a format that takes a fifth of the room."""
    import PIL.Image

    try:
        picture = PIL.Image.open(io.BytesIO(gif.content))
        times = []
        for frame in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(frame)
            times.append(picture.info.get("duration", 100))
        picture.seek(0)
        how = {"duration": times, "loop": picture.info.get("loop", 1)}
        light = _encoded(picture, lossless=True, save_all=True, method=2, **how)
    except (OSError, ValueError, SyntaxError):
        return gif
    return gif._replace(kind="image/webp", content=light) if len(light) < len(gif.content) else gif


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
    return Image("image/gif", content, *struct.unpack("<HH", content[6:10]), moves=True)


_READERS = {".png": _read_png, ".svg": _read_svg, ".gif": _read_gif}


def _choose(svg: Image | None, png: Image | None, most: int) -> Image | None:
    """The drawing, unless it is heavy and the picture in points is not; words are those of the drawing."""
    if png is None or (svg is not None and len(svg.content) <= SVG_LIMIT and len(svg.uri) <= most):
        return svg
    picture = _light(png, most)
    if svg is None:
        return picture
    heavy = len(picture.content) < len(svg.content)
    return picture._replace(title=svg.title, description=svg.description) if heavy else svg


def _light(image: Image, most: int) -> Image:
    """The picture, the first of an animation, with as many points as a screen shows and few colours, where that makes
    it lighter; with fewer points and some loss where it would have more characters than it may.

    Edges and text stay sharp: what is lost first are shades between colours that lie close to each other.
    """
    import PIL.Image  # takes a while, and pages without pictures do without

    if image.width * image.height > _MOST:
        return image
    try:
        picture = PIL.Image.open(io.BytesIO(image.content)).convert("RGBA")
        # What can be seen through shows the page, which is white behind figures.
        picture = PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        if picture.width > _WIDEST:
            picture = _resized(picture, _WIDEST)
        light = _encoded(_few(picture), lossless=True)
        width = picture.width
        while 4 * len(light) > 3 * (most - 40) and width > 16:
            light = _encoded(_resized(picture, width) if width < picture.width else picture, quality=_QUALITY)
            width = int(0.8 * width)
    except (OSError, ValueError, SyntaxError):
        return image  # the browser may know better
    return image._replace(kind="image/webp", content=light) if len(light) < len(image.content) else image


def _few(picture: Any) -> Any:
    """The picture in as few colours as change none by more than an eye sees, where they are enough."""
    import PIL.Image

    exact = np.asarray(picture, np.int16)
    for colors in _COLORS:
        few = picture.quantize(colors, PIL.Image.Quantize.MAXCOVERAGE, dither=PIL.Image.Dither.NONE).convert("RGB")
        if np.abs(np.asarray(few, np.int16) - exact).max() <= _CHANGE:
            break
    return few


def _resized(picture: Any, width: int) -> Any:
    import PIL.Image

    return picture.resize((width, max(round(picture.height * width / picture.width), 1)), PIL.Image.Resampling.LANCZOS)


def _encoded(picture: Any, **how: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, "WEBP", **how)
    return content.getvalue()


def _captioned(stem: str, image: Image, caption: str) -> Figure:
    name = stem.split("/", 1)[1]
    numbered = _NUMBERED.fullmatch(name)
    label, words = (f"{numbered[1].capitalize()} {numbered[2].lstrip('0')}", numbered[3]) if numbered else ("", name)
    words = re.sub(r"[-_/\s]+", " ", words).strip()
    return Figure(stem, label, image.title or words[:1].upper() + words[1:], caption or image.description, image)
