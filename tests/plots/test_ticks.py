"""Ticks of logarithmic axes: some wherever the axis begins and whatever it spans, and never in each other's way."""

import numpy as np
import pytest
from geometry import meeting, words
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from jaxland.plots import log_ticks, new_figure, style
from jaxland.plots.ticks import Room, chosen, labels

SPANS = (0.02, 0.1, 0.3, 0.5, 0.8, 1.0, 1.2, 2.0, 3.0, 6.0, 12.0, 60.0)


def _value(label):
    if "^" not in label:
        return float(label)
    mantissa, _, power = label.strip("$").replace("}", "").rpartition("10^{")
    return float(mantissa.replace("\\times", "") or 1) * 10.0 ** int(power)


@pytest.mark.parametrize("decades", SPANS)
def test_every_span_has_ticks_that_stand_apart_and_are_within(decades):
    for low in 10.0 ** np.random.default_rng(0).uniform(-9, 5, 40):
        high = low * 10**decades
        for length, across in ((90, True), (200, True), (70, False), (150, False)):
            ticks = np.array(chosen(low, high, Room(length, 7.5, across)))
            assert 2 <= len(ticks) <= 7, (low, high, length)
            assert ((ticks >= low * (1 - 1e-6)) & (ticks <= high * (1 + 1e-6))).all()
            # What is written is the value, and no two are the same.
            np.testing.assert_allclose([_value(each) for each in labels(ticks)], ticks, rtol=1e-6)
            # They say something of all of the axis.
            first, last = np.log(ticks[[0, -1]] / low) / np.log(high / low)
            assert first < 0.75, (low, high, ticks)
            assert last > 0.25, (low, high, ticks)


@pytest.mark.parametrize("width", ["column", "page"])
def test_labels_of_logarithmic_axes_do_not_meet(width):
    for low in (1.0, 2.3e-3, 7e-8):
        with style():
            figure, axes = new_figure(3, rows=2, width=width, letters=False)
            for ax, decades in zip(axes, (0.1, 0.3, 0.8, 1.2, 3, 12), strict=True):
                ends = [low, low * 10**decades]
                ax.plot(ends, ends)
                ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
            figure.draw_without_rendering()
            assert meeting(figure) == []
            for ax in axes:
                for axis in (ax.xaxis, ax.yaxis):
                    shown = {each.get_text() for each in words(figure)}
                    assert sum(each.get_text() in shown for each in axis.get_ticklabels()) >= 2
                    assert [each.get_text() for each in axis.get_ticklabels(minor=True) if each.get_text()] == []


def test_powers_are_the_ticks_of_decades_and_multiples_stand_between_them():
    room = Room(200, 7.5, True)
    assert labels(np.array(chosen(0.8e-3, 2.0, room))) == ["$10^{-3}$", "$10^{-2}$", "$10^{-1}$", "$10^{0}$"]
    assert labels(np.array(chosen(0.9, 6.0, room))) == ["1", "2", "5"]
    assert labels(np.array([2e-7, 5e-7])) == ["$2\\times10^{-7}$", "$5\\times10^{-7}$"]
    with style():
        figure, (ax,) = new_figure()
        ax.set(xscale="log", xlim=(1, 1e3), yscale="log", ylim=(1, 1e30))
        figure.draw_without_rendering()
        within = [each for each in ax.xaxis.get_minorticklocs() if 1 <= each <= 10]
        np.testing.assert_allclose(within, range(2, 10))
        assert np.isclose(np.log10(ax.yaxis.get_minorticklocs()) % 1, 0).all()


def test_axes_of_others_are_given_ticks_when_asked_and_ticks_that_were_chosen_stay():
    ax = Figure().subplots()
    ax.set(xscale="log", yscale="log", xlim=(2, 5))
    ax.yaxis.set_major_locator(FixedLocator([1, 2]))
    ax.yaxis.set_minor_locator(NullLocator())
    log_ticks(ax)
    assert isinstance(ax.yaxis.get_major_locator(), FixedLocator)
    assert isinstance(ax.yaxis.get_minor_locator(), NullLocator)
    assert [f"{each:g}" for each in ax.get_xticks()] == ["2", "2.5", "3", "3.5", "4", "4.5", "5"]
    linear, other = Figure().subplots(1, 2)
    other.set_xscale("log", base=2)
    before = other.xaxis.get_major_locator()
    log_ticks(linear)
    log_ticks(other)
    assert other.xaxis.get_major_locator() is before
    assert not isinstance(linear.xaxis.get_major_locator(), LogLocator)


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize(("low", "high", "linear"), [(-1e-1, 300, 1e-3), (0, 1e4, 1), (-1e9, 1e12, 10), (0, 2, 1)])
def test_axes_linear_about_zero_have_zero_and_powers_that_do_not_meet(low, high, linear, width):
    with style():
        figure, axes = new_figure(1 if width == "column" else 3, width=width)
        for ax in axes:
            ax.set_xscale("symlog", linthresh=linear)
            ax.set_yscale("symlog", linthresh=linear)
            ax.set(xlim=(low, high), ylim=(low, high))
        figure.draw_without_rendering()
        assert meeting(figure) == []
        for axis in (axis for ax in axes for axis in (ax.xaxis, ax.yaxis)):
            places = [each for each in axis.get_majorticklocs() if low <= each <= high]
            assert 0 in places
            assert len(places) >= 2
