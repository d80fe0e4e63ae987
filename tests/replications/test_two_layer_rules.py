"""Every rule of the two-layer study, on made-up data: it can say no."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from replications.counterexamples import Case, check, check_complete
from scipy.stats import norm

from jaxland.replications.two_layer import instability, prediction, randomness
from jaxland.replications.two_layer.config import TwoLayerConfig
from jaxland.replications.two_layer.descent import Descent, kept_epochs
from jaxland.replications.two_layer.highlighted.table import Extremes, weights_table
from jaxland.replications.two_layer.rounding.arithmetic import Arithmetic
from jaxland.replications.two_layer.rounding.cases import CASES, Rises, bisected
from jaxland.replications.two_layer.source import Weights, documents_gradient, flat, run_named, standard_data
from jaxland.replications.two_layer.source import standard_weights as standard
from jaxland.replications.two_layer.statements import STATEMENTS
from jaxland.statistics import two_way_components

# The packages export functions of the same name.
runs, rounding = (
    import_module(f"jaxland.replications.two_layer.{each}.claims") for each in ("highlighted", "rounding")
)
RNG = np.random.default_rng(0)


def descent(error, hidden=3, units=None, v=None, train=None, factor=1.0):
    """A run with these errors at its first epochs; weights grow to `units` and `v` along the same course."""
    error = np.asarray(error, float)
    epochs = kept_epochs(10_000)[: len(error)]
    units = np.ones((hidden - 1, 2)) if units is None else np.asarray(units, float)
    v = np.ones(hidden) if v is None else np.asarray(v, float)
    course = np.linspace(0.1, 1, len(error))[:, None] ** factor
    train = error if train is None else np.asarray(train, float)
    return Descent("f1", hidden, 0.1, epochs, course * flat(Weights(units, v)), train, error)


def at_end(last, length=1001):
    finite = last if np.isfinite(last) else 1e300
    return descent(np.append(np.linspace(76.0, finite, length)[:-1], last))


FALLING = np.geomspace(1, 1e-3, 1001)
RISING = np.r_[np.geomspace(1, 1e-3, 757), np.full(244, 0.02)]
EARLY = np.r_[np.geomspace(1, 1e-3, 600), np.full(401, 0.02)]
LONG = np.geomspace(1, 1e-3, len(kept_epochs(10_000)))
SLOW = np.geomspace(1, 1e-3, 10_001)[kept_epochs(10_000)]
APART = [[1.0, 1.0], [1.0, -1.0]]
FOUR = RNG.normal(0, 1, (7, 2))
LEVELS = np.geomspace(76, 1, 500)


def exact(make, true, false):
    return Case(lambda: make(true), lambda: make(false))


def printed(name):
    return exact(lambda error: runs.printed(name, at_end(error)), float(STATEMENTS[name].source), 0.7)


def overflow(name):
    return exact(lambda last: runs.overflows(name, at_end(last)), np.inf, 5.0)


def alike(name, hidden):
    same = np.ones((hidden - 1, 2))
    other = same.copy()
    other[0] = -1
    return exact(lambda units: runs.duplicates(name, descent(FALLING, hidden, units)), same, other)


def splitting(claim, when):
    """Seven units, alike up to an epoch."""

    def make(epoch):
        made = descent(np.ones(1201), 8, np.ones((7, 2)))
        made.params[epoch:] = flat(Weights(FOUR, np.ones(8)))
        return runs.splits(made)[claim]

    return exact(make, *when)


def shape(name):
    return exact(lambda factor: runs.shape(name, descent(FALLING), descent(FALLING, factor=factor)), 1.1, -3.0)


def four(last, others=0.5):
    """The weights of figure 5, the last of its own size."""
    values = np.array([others, others, others, last])
    return Extremes(values, values)


def rises(epochs, best=1.0):
    epochs = np.asarray(epochs)
    return Rises(Arithmetic("float64"), epochs, np.broadcast_to(np.asarray(best, float), epochs.shape), np.nan)


def cell(target, hidden, rate, share=0.0, loss=None, alike=0.5, count=400):
    """A share of executions, evenly among all, rise at epoch 700."""
    chosen = (np.arange(count) * 7919 % count) < share * count
    distinct = np.where(np.arange(count) < alike * count, 1, 2)
    loss = np.ones(count) if loss is None else np.asarray(loss, float)
    return instability.Cell(target, hidden, rate, np.where(chosen, 700, -1), np.zeros(count, bool), loss, distinct)


def both(one, two):
    return instability.sudden_for_both(
        {("f1", 3, 1.0): cell("f1", 3, 1.0, one), ("f2", 8, 0.1): cell("f2", 8, 0.1, two)}
    )


def few(ratio, spread):
    loss = RNG.lognormal(0, spread, 400)
    return instability.too_few_units(
        {("f2", 3, 0.1): cell("f2", 3, 0.1, loss=ratio * loss), ("f2", 8, 0.1): cell("f2", 8, 0.1, loss=loss[::-1])}
    )


def grown(six, eight, spread=0.01, count=400):
    """f2 with three sizes, each at two rates, of which the larger is worse."""
    found = {}
    for hidden, level in ((3, 50.0), (6, six), (8, eight)):
        for rate in (0.1, 0.5):
            loss = 10 * rate * level * np.exp(spread * norm.ppf((np.arange(count) + 0.5) / count))
            found["f2", hidden, rate] = cell("f2", hidden, rate, loss=loss, count=count)
    return instability.larger_is_better(instability.best_medians(found))


def sizes(ratio, spread=0.01):
    loss = RNG.lognormal(0, spread, 400)
    return instability.slower_with_size([cell("f1", 2, 0.1, loss=loss[::-1]), cell("f1", 3, 0.1, loss=ratio * loss)])


def crossed(data, weights, both=0.01, levels=24, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = data * random.normal(size=(levels, 1)), weights * random.normal(size=levels)
    values = rows + columns + both * random.normal(size=(levels, levels))
    return randomness.Crossed(randomness.DESIGNS[2], "test", values, two_way_components(values))


def matter(data, weights):
    made = crossed(data, weights)
    return lambda: randomness.data_matter_more(made, made)


def watched(rise, alarm_from, alarm_until=None, count=60):
    """Executions that rise at their epochs, with the sharpness above 2 / rate between two epochs."""
    epochs = np.arange(0, 1001, 10)
    begin, end = (np.broadcast_to(each, count)[:, None] for each in (alarm_from, alarm_until or 10_000))
    curve = np.where((epochs >= begin) & (epochs < end), 3.0, 1.0)
    loss = np.broadcast_to(np.linspace(1, 0.1, len(epochs)), curve.shape).copy()
    run = run_named("f1", 3, 1.0, 1000)
    return prediction.Watched(run, np.broadcast_to(rise, count).copy(), epochs, curve, loss)


LATE = np.where(np.arange(60) % 2, 550, -1)
BLIND = np.where(np.arange(60) // 2 % 2, 350, 10_000)
HALF = np.where(np.arange(60) % 2, np.where(np.arange(60) % 4 == 1, 350, 10_000), 10_000)


def courses(noise, count=32):
    """Courses of V and U of executions that have their units in other orders."""
    time = np.linspace(0, 1, 20)
    base = np.sin(np.outer(np.arange(1, 8), 3 * time))
    made = []
    for _ in range(count):
        order = RNG.permutation(7)
        unit = base[order] + noise * RNG.normal(0, 1, (7, 20))
        v = np.concatenate([unit, np.ones((1, 20))]).T
        made.append(flat(Weights(np.stack([unit, -unit], axis=-1).transpose(1, 0, 2), v)))
    return np.stack(made)


def similar(index):
    return Case(
        lambda: prediction.similar(courses(0.05))[index],
        lambda: prediction.similar(courses(2.0))[index],
        lambda: prediction.similar(np.concatenate([courses(0.05, 23), courses(1.5, 10)]))[index],
    )


CASES_BY_NAME = {
    "gradients": Case(
        lambda: runs.gradients(),
        lambda: runs.gradients(ours=2 * documents_gradient(standard(5), standard_data().x[:50], np.ones(50))),
    ),
    "reproducible": exact(lambda epochs: rounding.reproducible(rises(epochs)), [755] * 20, [755, 756]),
    "stable-750": exact(lambda error: runs.stable(descent(error)), RISING, EARLY),
    "epoch-755": Case(
        lambda: rounding.epoch_755(rises([754, 755, 756] * 10), ""),
        lambda: rounding.epoch_755(rises([654, 655, 656] * 10), ""),
        lambda: rounding.epoch_755(rises([700, 755, 810] * 10), ""),
    ),
    "drop": exact(lambda error: runs.drop(descent(error)), RISING, FALLING),
    "new-numbers": Case(
        lambda: prediction.new_numbers(watched(RNG.integers(300, 900, 60), 100)),
        lambda: prediction.new_numbers(watched(600, 100)),
        lambda: prediction.new_numbers(watched(600 + RNG.normal(0, 10, 60).astype(int), 100)),
    ),
    "grows": exact(lambda last: runs.grows(at_end(last)), 26_640.9, 1.0),
    "overflow-f1": overflow("overflow-f1"),
    "same-course": exact(
        lambda slow: runs.same_course(descent(FALLING), descent(slow)), SLOW, SLOW * np.linspace(1, 3, len(SLOW))
    ),
    "faster": exact(
        lambda slow: runs.faster(descent(np.geomspace(1, 9e-4, 1001)), descent(slow)), 0.9 * SLOW, FALLING * 0.9
    ),
    "duplicates-3": alike("duplicates-3", 3),
    "remove": exact(lambda units: runs.remove(descent(FALLING, 3, units)), np.ones((2, 2)), APART),
    "two-are-enough": exact(lambda last: runs.two_are_enough(at_end(last), at_end(1.0)), 0.8, 1.2),
    "v-doubles": exact(lambda v: runs.v_doubles(descent(FALLING, 2, v=[v, 1]), descent(FALLING, 3)), 1.9, 1.1),
    "shape-2": shape("shape-2"),
    "magnitude-2": exact(lambda found: runs.magnitude("magnitude-2", np.array(found)), [1.2, 1.4, 1.8], [1.2, 0.9, 1]),
    "shape-5": shape("shape-5"),
    "duplicates-5": alike("duplicates-5", 5),
    "magnitude-5": exact(lambda found: runs.magnitude("magnitude-5", np.array(found)), [0.8, 0.6, 0.5], [0.8, 1.1, 1]),
    "bias-less": exact(lambda last: runs.bias_less(four(last), four(1, 1))[0], 0.9, 0.1),
    **{f"error-{hidden}": printed(f"error-{hidden}") for hidden in (2, 3, 5, 8)},
    "slower-with-size": Case(lambda: sizes(2.0), lambda: sizes(0.5), lambda: sizes(1.0)),
    "cost": exact(runs.cost, [1.0, 2, 3, 4], [1.0, 2, 2, 1]),
    "fails": exact(lambda last: runs.fails(at_end(last)), 50.0, 1.0),
    "stagnates-3": exact(
        lambda error: runs.stagnates(descent(error)),
        np.r_[np.linspace(76, 49, 300), np.full(701, 49)],
        np.linspace(76, 1, 1001),
    ),
    "too-few-units": Case(lambda: few(40, 0.1), lambda: few(2, 0.1), lambda: few(10, 1.0)),
    "larger-is-better": exact(lambda last: runs.larger_is_better(at_end(49), at_end(last), at_end(1.0)), 1.3, 30.0),
    "smaller-rate-needed": Case(
        lambda: instability.smaller_rate_needed(cell("f1", 8, 0.1), cell("f2", 8, 0.1, 0.8)),
        lambda: instability.smaller_rate_needed(cell("f1", 8, 0.1), cell("f2", 8, 0.1, 0.2)),
        lambda: instability.smaller_rate_needed(cell("f1", 8, 0.1), cell("f2", 8, 0.1, 0.5)),
    ),
    "alike-300": splitting(0, (400, 150)),
    "split-later": splitting(1, (400, 2000)),
    "overflow-f2": overflow("overflow-f2"),
    "unstable-7": exact(lambda error: runs.learns_in_spite(descent(error))[0], 10 + np.sin(np.arange(1001)), FALLING),
    "sensible-7": exact(lambda last: runs.learns_in_spite(at_end(last))[1], 5.0, 70.0),
    "half-rate": exact(
        lambda slow: runs.half_rate(descent(LEVELS), descent(slow)), np.geomspace(76, 1, 1000), np.geomspace(76, 1, 500)
    ),
    "half-rate-stable": Case(
        lambda: instability.half_rate_stable(TwoLayerConfig(), 1, 200),
        lambda: instability.half_rate_stable(TwoLayerConfig(), 60, 200),
        lambda: instability.half_rate_stable(TwoLayerConfig(), 10, 200),
    ),
    "stagnates-8": exact(lambda error: runs.stagnates_later(descent(error)), np.full(len(LONG), 1.0), LONG),
    "error-10000": printed("error-10000"),
    "before-it-oscillates": Case(
        lambda: rounding.before_it_oscillates(rises([1040] * 20, 1.0889), ""),
        lambda: rounding.before_it_oscillates(rises([1040] * 20, 1.2), ""),
        lambda: rounding.before_it_oscillates(rises([1040] * 20, np.linspace(1.08, 1.098, 20)), ""),
    ),
    "halves": exact(lambda last: runs.halves(at_end(1.0), at_end(last)), 0.5, 0.9),
    "v-similar": similar(0),
    "u-similar": similar(1),
    "varies": Case(
        lambda: instability.varies(cell("f2", 8, 0.1, loss=RNG.lognormal(0, 2, 400))),
        lambda: instability.varies(cell("f2", 8, 0.1, loss=RNG.lognormal(0, 0.1, 400))),
        lambda: instability.varies(cell("f2", 8, 0.1, loss=np.exp(np.linspace(-1, 1, 60) * np.log(2)), count=60)),
    ),
    "data-matter-more": Case(matter(1.0, 0.1), matter(0.1, 1.0), matter(1.0, 1.0)),
    "both-more": Case(
        lambda: randomness.both_more(crossed(0.5, 2.0)),
        lambda: randomness.both_more(crossed(1.0, 0.01)),
        lambda: randomness.both_more(crossed(1.0, 0.33)),
    ),
    "larger-weights": Case(
        lambda: randomness.larger_weights(crossed(1.0, 0.1), crossed(0.1, 1.0)),
        lambda: randomness.larger_weights(crossed(0.1, 1.0), crossed(1.0, 0.1)),
        lambda: randomness.larger_weights(crossed(1.0, 1.0), crossed(1.0, 1.0, seed=1)),
    ),
    "unpredictable": Case(
        lambda: prediction.unpredictable(watched(LATE, BLIND))[0],
        lambda: prediction.unpredictable(watched(LATE, np.where(LATE > 0, 350, 10_000)))[0],
        lambda: prediction.unpredictable(watched(LATE, HALF))[0],
    ),
    "sudden-for-both": Case(lambda: both(0.9, 0.5), lambda: both(0.9, 0.0), lambda: both(0.9, 0.05)),
    "duplicates": Case(
        lambda: instability.duplicates(cell("f1", 3, 0.1, alike=0.9)),
        lambda: instability.duplicates(cell("f1", 3, 0.1, alike=0.2)),
        lambda: instability.duplicates(cell("f1", 3, 0.1, alike=0.5)),
    ),
    "no-overfitting": exact(lambda train: runs.no_overfitting(descent(RISING, train=train)), 1.1 * RISING, FALLING),
}


@pytest.mark.parametrize("name", CASES_BY_NAME)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES_BY_NAME[name])


def test_every_rule_has_a_counterexample():
    check_complete(STATEMENTS, CASES_BY_NAME)


def test_three_runs_may_agree_where_executions_do_not():
    """Figure 6 shows the one run of each size that is good; h = 6 is not in most executions."""
    assert grown(1.3, 1.0).verdict == "agrees"
    found = grown(28.0, 1.0)
    assert (found.verdict, found.of) == ("differs", "new executions")
    assert grown(5.0, 1.0, spread=1.0).verdict == "undecided"
    assert grown(1.3, 1.0, count=20).verdict == "not tested"
    assert runs.larger_is_better(at_end(49), at_end(1.3), at_end(1.0)).of == "the document's runs"


# The detector


def test_what_is_predictable_depends_on_what_is_looked_at():
    """A loss that falls smoothly until it jumps tells nothing, while the sharpness tells all; and the reverse."""
    by_sharpness, by_loss = prediction.unpredictable(watched(LATE, np.where(LATE > 0, 350, 10_000)))
    assert (by_sharpness.verdict, by_loss.verdict) == ("differs", "agrees")
    assert "30 of 60 executions rise, 30 of them in an alarm" in by_sharpness.measured
    assert by_loss.measured.endswith("30 of 60 executions rise, 0 of them in an alarm")
    told = watched(LATE, BLIND)
    told.loss[LATE > 0, 35:] = np.linspace(1, 2, 66)
    assert [each.verdict for each in prediction.unpredictable(told)] == ["agrees", "differs"]


def test_the_detector_is_asked_while_nothing_has_risen():
    """By hand: asked at 100, ..., 800; a rise at 550 follows 400 and 500, and from 600 on none is asked."""
    rows = prediction.counts(watched([550] * 60, 450), watched([550] * 60, 450).alarm)
    np.testing.assert_array_equal(rows, [[1, 1, 0, 3]] * 60)
    never = watched([-1] * 60, 300, 500)
    np.testing.assert_array_equal(prediction.counts(never, never.alarm), [[0, 0, 2, 6]] * 60)


def test_what_comes_after_an_epoch_changes_no_answer():
    """The same executions with another future: up to epoch 500 the detector says the same."""
    one, two = watched([550] * 60, 450), watched([-1] * 60, 450, 700)
    np.testing.assert_array_equal(one.alarm[:, :51], two.alarm[:, :51])


def test_alarms():
    table = prediction.alarms(watched([550] * 2, [450, 450], count=2))
    pd.testing.assert_frame_equal(
        table, pd.DataFrame({"execution": [0, 1], "begin": 450, "outcome": "rise", "lead": 100.0})
    )
    assert prediction.alarms(watched([-1], [300], 500, count=1))["outcome"].tolist() == ["ended"]
    assert prediction.alarms(watched([-1], [300], count=1))["outcome"].tolist() == ["open"]
    assert prediction.alarms(watched([550], [300], 500, count=1))["outcome"].tolist() == ["ended"]


def test_matched_cosines_find_exchanged_units():
    made = prediction.matched_cosines(
        RNG.normal(0, 1, (1, 5, 9, 1))[:, RNG.permutation(5)].repeat(2, 0), np.ones((1, 1))
    )
    np.testing.assert_allclose(made, 1.0)
    unit = RNG.normal(0, 1, (5, 9, 2))
    flipped = unit[::-1] * np.array([1.0, -1.0])
    signs = np.array([[1.0, 1.0], [1.0, -1.0]])
    np.testing.assert_allclose(prediction.matched_cosines(np.stack([unit, flipped]), signs), 1.0)


def test_a_crossing_is_found_to_the_epoch():
    for epoch in range(481, 486):
        assert bisected(lambda at, epoch=epoch: 3.0 if at >= epoch else 1.0, CASES[0], 485) == epoch


def test_the_change_of_a_weight_is_judged_by_each_of_its_readings():
    """The last weight peaks high and falls: it changes least by its peak, and most by its end."""
    three = Extremes(np.array([1.0, 1.0, 1.0, 0.5]), np.array([1.0, 1.0, 1.0, 2.0]))
    five = Extremes(np.array([0.8, 0.6, 0.5, 0.1]), np.array([0.8, 0.6, 0.5, 1.9]))
    found = {claim.of: (claim.verdict, claim.measured) for claim in runs.bias_less(five, three)}
    assert found == {
        "ratio at the end": ("differs", "U00 0.80, U01 0.60, V0 0.50, V[h-1] 0.20"),
        "difference at the end": ("differs", "U00 0.20, U01 0.40, V0 0.50, V[h-1] 0.40"),
        "ratio of the peaks": ("agrees", "U00 0.80, U01 0.60, V0 0.50, V[h-1] 0.95"),
    }


def test_the_weights_of_figure_5_stand_in_their_table_with_their_peaks():
    made = descent(np.ones(11), units=[[3.0, -2.0], [1.0, 1.0]], v=[4.0, 5.0, 6.0])
    table = weights_table([made])
    assert table["weight"].tolist() == ["U00", "U01", "V0", "V[h-1]"]
    assert table["end"].tolist() == [3.0, -2.0, 4.0, 6.0]
    assert table["peak"].tolist() == [3.0, 2.0, 4.0, 6.0]


def test_a_share_of_few_cases_is_told_with_a_decimal():
    assert instability._told(5, 500) == "1.0% (0.4% to 2.3%)"
    assert instability._told(0, 500) == "0% (0% to 1%)"
    assert instability._told(250, 500) == "50% (46% to 54%)"
