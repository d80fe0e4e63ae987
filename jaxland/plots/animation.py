"""Moving pictures: a figure redrawn frame by frame."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

# Frames that together show the colours of an animation: all share one palette, so that nothing flickers.
_SAMPLED = 8


def animate(
    figure: Figure,
    draw: Callable[[Any], None],
    frames: Iterable[Any],
    *,
    kind: str = "gif",
    per_second: float = 10,
    dots_per_inch: float = 160,
    hold: float = 2.0,
) -> bytes:
    """Draws a figure once for each frame and puts the pictures one after another.

    Args:
        figure: already drawn, but for what moves.
        draw: changes the figure to show one frame; what does not move should be left alone.
        frames: what `draw` is given, one after another.
        kind: `"gif"`, which repeats for ever, or `"mp4"`, which takes ffmpeg.
        per_second: frames a second.
        dots_per_inch: of the pictures; smaller files with fewer. Figures of `new_figure(width="screen")` have at 160 as
            many dots across as a page of the web shows, and text of 15 dots and more.
        hold: seconds for which a GIF shows its last frame.

    Returns:
        The file: for a GIF the same bytes for the same figure.

    Raises:
        ValueError: the kind is unknown or there are no frames.
        RuntimeError: there is no ffmpeg.
    """
    if kind not in ("gif", "mp4"):
        raise ValueError(f"unknown kind of animation {kind!r}; it is gif or mp4.")
    frames = list(frames)
    if not frames:
        raise ValueError("an animation needs at least one frame.")
    if kind == "mp4":
        return _mp4(figure, draw, frames, per_second, dots_per_inch)
    pictures = [_picture(figure, draw, frame, dots_per_inch) for frame in frames]
    shown = [pictures[index] for index in np.unique(np.linspace(0, len(pictures) - 1, _SAMPLED).astype(int))]
    palette = Image.fromarray(np.concatenate(shown)).quantize(255, dither=Image.Dither.NONE)
    first, *others = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    times = [round(1000 / per_second)] * len(pictures)
    times[-1] = max(times[-1], round(1000 * hold))
    sink = io.BytesIO()
    first.save(sink, "gif", save_all=True, append_images=others, duration=times, loop=0, optimize=False)
    return sink.getvalue()


def _picture(figure, draw, frame, dots_per_inch) -> UInt8[np.ndarray, "H W 3"]:
    draw(frame)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=dots_per_inch)
    width, height = (int(size * dots_per_inch) for size in figure.get_size_inches())
    return np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)[:, :, :3]


def _mp4(figure, draw, frames, per_second, dots_per_inch) -> bytes:
    from matplotlib.animation import FFMpegWriter

    if shutil.which("ffmpeg") is None:
        raise RuntimeError("an MP4 needs the program ffmpeg, which is not installed; kind='gif' needs nothing.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.mp4"
        writer = FFMpegWriter(fps=per_second)
        with writer.saving(figure, str(path), dots_per_inch):
            for frame in frames:
                draw(frame)
                writer.grab_frame()
        return path.read_bytes()
