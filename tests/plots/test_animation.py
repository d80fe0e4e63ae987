import io
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxland.plots import animate, new_figure


def _moving():
    figure, (ax,) = new_figure(width=2, height=1.5)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    (line,) = ax.plot([], [], "o", color="#ff0000", ms=20)
    return figure, lambda place: line.set_data([place], [0.5])


def test_a_gif_shows_every_frame_and_repeats():
    figure, draw = _moving()
    content = animate(figure, draw, [0.1, 0.5, 0.9], per_second=5, hold=1)
    assert content == animate(*_moving(), [0.1, 0.5, 0.9], per_second=5, hold=1)
    with Image.open(io.BytesIO(content)) as film:
        assert (film.n_frames, film.info["loop"], film.size) == (3, 0, (240, 180))
        centres, times = [], []
        for index in range(3):
            film.seek(index)
            times.append(film.info["duration"])
            red, green, _ = np.moveaxis(np.asarray(film.convert("RGB")).astype(int), 2, 0)
            centres.append(np.nonzero((red > 200) & (green < 60))[1].mean())
    assert times == [200, 200, 1000]
    assert centres[0] < centres[1] - 20 < centres[2] - 40


@pytest.mark.parametrize(("kind", "frames", "words"), [("avi", [1], "gif or mp4"), ("gif", [], "at least one frame")])
def test_bad_arguments(kind, frames, words):
    with pytest.raises(ValueError, match=words):
        animate(*_moving(), frames, kind=kind)


def test_without_ffmpeg_an_mp4_says_so(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="ffmpeg"):
        animate(*_moving(), [0.5], kind="mp4")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_an_mp4_is_one():
    assert animate(*_moving(), [0.1, 0.9], kind="mp4")[4:8] == b"ftyp"
