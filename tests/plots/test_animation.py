import io
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxland.plots import animate, descent_3d, descent_contours, new_figure, style


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
        assert (film.n_frames, film.info["loop"], film.size) == (3, 0, (320, 240))
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


@pytest.mark.parametrize("make", [descent_3d, descent_contours])
def test_text_of_a_film_is_read_at_the_size_in_which_pages_show_it(make):
    axis, steps = np.linspace(-1, 1, 5), range(3)
    path, heights = np.linspace([-1.0, -1.0], [0.0, 0.0], 3)[None], np.array([[2.0, 1.0, 0.5]])
    with style():
        film = make(axis, axis, axis[:, None] ** 2 + axis**2 + 0.5, steps, path, heights, ["fit 0"])
        with Image.open(io.BytesIO(animate(*film, [2]))) as shown:
            width = shown.width
    words = [each for each in film[0].findobj(lambda each: hasattr(each, "get_fontsize")) if each.get_text().strip()]
    assert width <= 840
    assert min(each.get_fontsize() for each in words) / 72 * width / film[0].get_figwidth() >= 15
