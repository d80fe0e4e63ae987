import io
import urllib.request

import numpy as np
import PIL.Image
import pytest

from jaxland.plots import new_figure, render
from jaxland.report import figures
from jaxland.report.figures import read_figures


def _figure(points=10):
    figure, (ax,) = new_figure(width=4, height=2)
    ax.plot(np.random.default_rng(0).random(points))
    return figure


def _save(directory, stem, kinds=("svg", "png"), points=10):
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    for kind in kinds:
        (folder / f"{stem}.{kind}").write_bytes(render(_figure(points), kind))


@pytest.mark.parametrize(
    ("stem", "label", "title"),
    [
        ("figure-07-distances-to-the-global-minimum", "Figure 7", "Distances to the global minimum"),
        ("section-4.5-direction-cosines", "Section 4.5", "Direction cosines"),
        ("figure-10-spectra", "Figure 10", "Spectra"),
        ("loss-slices", "", "Loss slices"),
    ],
)
def test_captions_come_from_names(tmp_path, stem, label, title):
    _save(tmp_path, stem)
    (figure,), broken, _ = read_figures(tmp_path)
    assert (figure.label, figure.title, figure.description, broken) == (label, title, "", [])


def test_a_file_says_more_than_its_name(tmp_path):
    _save(tmp_path, "figure-11-x", ["png"])
    words = {"Title": "Spectra of 512 minima", "Description": "Dense, < 1 s.", "Date": None}
    _figure().savefig(tmp_path / "figures" / "figure-11-x.svg", metadata=words)
    (figure,), *_ = read_figures(tmp_path)
    assert (figure.label, figure.title, figure.description) == (
        "Figure 11",
        "Spectra of 512 minima",
        "Dense, < 1 s.",
    )


def test_figures_are_in_the_order_of_their_numbers(tmp_path):
    for stem in ("section-4.5-a", "figure-10-b", "figure-9-c", "figure-01-d"):
        _save(tmp_path, stem, ["svg"])
    assert [figure.label for figure in read_figures(tmp_path)[0]] == [
        "Figure 1",
        "Figure 9",
        "Figure 10",
        "Section 4.5",
    ]


def test_a_light_drawing_is_shown_as_such_and_a_heavy_one_as_points(tmp_path, monkeypatch):
    _save(tmp_path, "a-light")
    _save(tmp_path, "b-heavy", points=20_000)
    _save(tmp_path, "c-only", ["png"])
    monkeypatch.setattr(figures, "SVG_LIMIT", 100_000)
    light, heavy, only = (figure.image for figure in read_figures(tmp_path)[0])
    assert light.kind == "image/svg+xml"
    assert heavy.kind == only.kind == "image/webp"
    for image in (light, heavy, only):
        assert image.width / image.height == pytest.approx(2, rel=0.01)
        kind, text = urllib.request.urlopen(image.uri).headers["Content-Type"], urllib.request.urlopen(image.uri).read()
        assert kind == image.kind
        assert b"".join(text.split()) == b"".join(image.content.split())


def test_pictures_are_lighter_and_look_the_same(tmp_path):
    """No more than 16 of 255 in any channel, fewer than an eye sees in a line, at half the weight."""
    figure, axes = new_figure(2, width=4, height=2)
    for axis in axes:
        axis.imshow(np.outer(np.linspace(0, 1, 60), np.linspace(0, 1, 90)))
        axis.plot(np.random.default_rng(0).random((60, 4)))
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(render(figure, "png"))
    (figure,), *_ = read_figures(tmp_path)
    image = figure.image
    before = PIL.Image.open(tmp_path / "figures" / "a.png").convert("RGB")
    after = PIL.Image.open(io.BytesIO(image.content)).convert("RGB")
    assert image.kind == "image/webp"
    assert len(image.content) < (tmp_path / "figures" / "a.png").stat().st_size / 2
    assert np.abs(np.asarray(before, int) - np.asarray(after, int)).max() <= 16


def test_a_very_broad_picture_is_narrowed_and_says_its_own_size(tmp_path):
    (tmp_path / "figures").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (100, 4096, 3), np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "figures" / "a.png")
    (figure,), *_ = read_figures(tmp_path)
    image = figure.image
    width, height = PIL.Image.open(io.BytesIO(image.content)).size
    assert 500 < width <= 2048  # noise is heavy
    assert height == pytest.approx(width * 100 / 4096, abs=1)
    assert (image.width, image.height) == (4096, 100)


def test_what_can_be_seen_through_is_white(tmp_path):
    (tmp_path / "figures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (50, 50, 4), np.uint8)
    pixels[:25, :, 3] = 0
    PIL.Image.fromarray(pixels).save(tmp_path / "figures" / "a.png")
    (figure,), *_ = read_figures(tmp_path)
    image = figure.image
    assert (np.asarray(PIL.Image.open(io.BytesIO(image.content)).convert("RGB"))[:25] == 255).all()


def test_a_picture_that_cannot_be_decoded_is_left_to_the_browser(tmp_path):
    _save(tmp_path, "a", ["png"])
    path = tmp_path / "figures" / "a.png"
    content = path.read_bytes()
    path.write_bytes(content[:200] + content[-20:])
    (figure,), broken, _ = read_figures(tmp_path)
    image = figure.image
    assert (image.kind, image.content, broken) == ("image/png", path.read_bytes(), [])


def test_a_broken_file_is_named_and_the_other_one_shown(tmp_path):
    _save(tmp_path, "a")
    _save(tmp_path, "b")
    folder = tmp_path / "figures"
    for name in ("a.svg", "b.svg", "b.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-20])
    shown, broken, _ = read_figures(tmp_path)
    assert [(figure.path, figure.image.kind) for figure in shown] == [("figures/a", "image/webp")]
    assert sorted(broken) == ["figures/a.svg", "figures/b.png", "figures/b.svg"]


def test_other_files_and_no_files(tmp_path):
    assert read_figures(tmp_path) == ([], [], [])
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "notes.txt").write_text("x")
    (tmp_path / "figures" / ".tmp-1.svg").write_text("x")
    assert read_figures(tmp_path) == ([], [], [])


def test_an_animation_is_a_figure(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    frame = PIL.Image.new("P", (30, 20))
    frame.save(folder / "figure-05-descent.gif", save_all=True, append_images=[frame])
    (folder / "figure-06-broken.gif").write_bytes((folder / "figure-05-descent.gif").read_bytes()[:-1])
    (figure,), broken, _ = read_figures(tmp_path)
    assert (figure.label, figure.title) == ("Figure 5", "Descent")
    assert (figure.image.moves, figure.image.width, figure.image.height) == (True, 30, 20)
    assert broken == ["figures/figure-06-broken.gif"]


def test_an_analysis_says_what_its_figures_show(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    _figure().savefig(folder / "losses.png")
    _figure().savefig(folder / "knots.png")
    (folder / "captions.json").write_text('{"losses": "Half of 64 losses lie below 0.1.", "knots": 3}')
    figures, broken, _ = read_figures(tmp_path)
    assert not broken
    assert [(each.title, each.description) for each in figures] == [
        ("Knots", ""),
        ("Losses", "Half of 64 losses lie below 0.1."),
    ]
    (folder / "captions.json").write_text("[")
    assert {each.description for each in read_figures(tmp_path)[0]} == {""}


def _animation(path, size, frames=3):
    rng = np.random.default_rng(frames)
    pictures = [PIL.Image.fromarray(rng.integers(0, 255, (size, size), np.uint8)) for _ in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 200, 300][:frames], loop=0)


def test_an_animation_still_moves_and_takes_less_room(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    frames = []
    for place in range(8):
        pixels = np.full((200, 300), 255, np.uint8)
        pixels[::4, ::3] = np.arange(100) * (place + 1) % 256
        frames.append(PIL.Image.fromarray(pixels))
    times = [100 + 20 * place for place in range(8)]
    frames[0].save(folder / "way.gif", save_all=True, append_images=frames[1:], duration=times, loop=0)
    (figure,), broken, left_out = read_figures(tmp_path)
    assert (figure.image.kind, figure.still, broken, left_out) == ("image/webp", False, [], [])
    assert len(figure.image.content) < (folder / "way.gif").stat().st_size
    contents = (folder / "way.gif").read_bytes(), figure.image.content
    before, after = (PIL.Image.open(io.BytesIO(content)) for content in contents)
    assert before.n_frames == after.n_frames == 8
    for place in range(8):
        before.seek(place)
        after.seek(place)
        np.testing.assert_array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))
        after.load()
        assert after.info["duration"] == times[place]


@pytest.mark.slow
def test_heavy_figures_weigh_no_more_than_they_may_and_none_is_lost(tmp_path, monkeypatch):
    """Noise, which no format makes light, at a tenth of the true limits."""
    monkeypatch.setattr(figures, "LIMIT", 120_000)
    monkeypatch.setattr(figures, "_HEAVIEST", 40_000)
    monkeypatch.setattr(figures, "_LEAST", 12_000)
    folder = tmp_path / "figures"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    for place in range(8):
        PIL.Image.fromarray(noise).save(folder / f"figure-{place}-noise.png")
    PIL.Image.new("RGB", (40, 30)).save(folder / "plain.png")
    found = read_figures(tmp_path)
    weights = [len(figure.image.uri) for figure in found.figures]
    assert (len(weights), found.left_out) == (9, [])
    assert 60_000 < sum(weights) <= 120_000
    assert max(weights) <= 40_000
    for figure in found.figures:
        PIL.Image.open(io.BytesIO(figure.image.content)).load()


def test_what_there_is_no_room_for_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "LIMIT", 60_000)
    for place in range(3):
        _save(tmp_path, f"figure-{place}-a", ["png"])
    _animation(tmp_path / "figures" / "figure-9-way.gif", 200)
    found = read_figures(tmp_path)
    assert [figure.path for figure in found.figures] == ["figures/figure-0-a", "figures/figure-1-a"]
    assert found.left_out == ["figures/figure-2-a", "figures/figure-9-way"]


def test_an_animation_that_is_too_heavy_stands_still(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "LIMIT", 60_000)
    (tmp_path / "figures").mkdir()
    _animation(tmp_path / "figures" / "way.gif", 300)
    (figure,), *rest = read_figures(tmp_path)
    assert (figure.still, figure.image.moves, figure.image.kind, rest) == (True, False, "image/webp", [[], []])
    assert len(figure.image.uri) <= 60_000
    assert PIL.Image.open(io.BytesIO(figure.image.content)).n_frames == 1
