"""The placebo test against least squares, enumeration and its own definition: known answers."""

from itertools import permutations
from typing import get_args

import numpy as np
import optax
import pytest
from reference import loss_and_gradient, train
from scipy import stats

import jaxland as jl
from jaxland.placebo import STATISTICS, Design, placebo_test, placebo_tests, split
from jaxland.placebo.config import Statistics
from jaxland.store import StoreError
from jaxland.studies import fitting
from jaxland.training import starting_points

pytestmark = pytest.mark.sampled

RANDOM = np.random.default_rng(0)
LINEAR = jl.mlp([3, 1], "identity")
SMALL = jl.mlp([2, 4, 1], init="pytorch_uniform")
DESCENT = optax.sgd(0.2)


def _noise(points, inputs=2, seed=0):
    random = np.random.default_rng(seed)
    return jl.Problem(random.normal(size=(points, inputs)), random.normal(size=points))


def _residual(x, y):
    design = np.column_stack([x, np.ones(len(x))])
    return np.mean((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2)


@pytest.fixture(scope="module", params=[0.0, 0.5])
def linear(request):
    random = np.random.default_rng(5)
    x = random.normal(size=(40, 3))
    problem = jl.Problem(x, request.param * x[:, 0] + random.normal(size=40))
    result = placebo_test(LINEAR, problem, DESCENT, steps=400, permutations=199, seed=7, dtype="float64")
    return problem, result


def test_a_linear_network_reaches_the_least_squares_of_every_labelling(linear):
    problem, result = linear
    design = Design(LINEAR, (problem,), (), DESCENT, 1, 199, seed=7)
    expected = [_residual(problem.x, design.labelling(0, number)[:, 0]) for number in range(200)]
    np.testing.assert_allclose(result.measures.training_loss[:, 0], expected, rtol=1e-9)
    exceedances = sum(value <= expected[0] for value in expected[1:])
    assert result.p_value.value == (exceedances + 1) / 200


def test_a_linear_network_agrees_with_an_independent_test_by_least_squares(linear):
    problem, result = linear
    random = np.random.default_rng(11)
    real = _residual(problem.x, problem.y[:, 0])
    others = [_residual(problem.x, random.permutation(problem.y[:, 0])) for _ in range(4000)]
    share = np.mean(np.array(others) <= real)
    assert result.p_value.low - 0.01 <= share <= result.p_value.high + 0.01
    # And with the F-test, which is exact for normal noise.
    total = np.var(problem.y)
    f = ((total - real) / 3) / (real / 36)
    assert result.p_value.low - 0.02 <= stats.f.sf(f, 3, 36) <= result.p_value.high + 0.02


def _tests_of_noise(network, optimizer, repeats, points, inputs, **arguments):
    parts = [split(_noise(points, inputs, seed), seed=seed) for seed in range(repeats)]
    return placebo_tests(_design(network, parts, optimizer=optimizer, **arguments))


def _design(network, parts, **arguments):
    training, held_out = tuple(part.training for part in parts), tuple(part.held_out for part in parts)
    return Design(network=network, problems=training, held_out=held_out, **arguments)


@pytest.fixture(scope="module")
def tests_of_noise():
    return _tests_of_noise(SMALL, optax.adam(0.05), 400, 24, 2, steps=60, permutations=19)


def _check_uniform(results, statistic, levels):
    p_values = [result.test(statistic).p_value for result in results]
    uniform = np.random.default_rng(1).random(len(results))
    scores = [p.randomised(each) for p, each in zip(p_values, uniform, strict=True)]
    assert stats.kstest(scores, "uniform").pvalue > 0.01
    for level in levels:
        # At these levels the test is exact: level (M + 1) is whole.
        rejected = sum(p.value <= level + 1e-12 for p in p_values)
        assert stats.binomtest(rejected, len(results), level).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_values_of_noise_are_uniform(tests_of_noise, statistic):
    _check_uniform(tests_of_noise, statistic, (0.05, 0.2))


@pytest.mark.slow
def test_p_values_of_noise_are_uniform_at_scale():
    """A thousand data sets, 100,000 fits of the network of the study."""
    network = jl.mlp([10, 20, 1], init="pytorch_uniform")
    results = _tests_of_noise(network, optax.adam(0.01), 1000, 120, 10, steps=200, permutations=99)
    for statistic in STATISTICS:
        _check_uniform(results, statistic, (0.01, 0.05, 0.1))


@pytest.mark.parametrize("statistic", ["training_loss", "training_improvement", "validation_loss"])
def test_a_clear_signal_gives_the_smallest_p_value(statistic):
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 2))
    # No linear function finds anything in a product.
    parts = split(jl.Problem(x, x[:, 0] * x[:, 1] + 0.2 * random.normal(size=120)))
    result = placebo_test(
        jl.mlp([2, 10, 1]), parts.training, optax.adam(0.02), steps=400, held_out=parts.held_out,
        statistic=statistic, permutations=99, starts=3,
    )  # fmt: skip
    assert result.p_value.value == 0.01
    assert all(each.value <= 0.05 for each in result.tested.p_value_by_start)
    assert result.test("validation_loss").real < 0.5 < result.test("validation_loss").null.min()


@pytest.mark.slow
def test_fits_are_those_of_reference_training():
    """Real fits and placebos by a float64 NumPy loop: same labels, same starts, held-out labels untouched."""
    parts = split(_noise(16), 0.25)
    optimizer = optax.sgd(0.05)
    result = placebo_test(
        SMALL, parts.training, optimizer, steps=30, held_out=parts.held_out, permutations=3, starts=2, dtype="float64"
    )
    design = Design(SMALL, (parts.training,), (parts.held_out,), optimizer, 30, 3, 2)
    starts = starting_points(SMALL, 2)
    for labelling in range(4):
        y = design.labelling(0, labelling)
        assert (labelling == 0) == np.array_equal(y, parts.training.y)
        np.testing.assert_array_equal(np.sort(y, axis=0), np.sort(parts.training.y, axis=0))
        for start in range(2):
            losses, params = train(starts[start], [2, 4, 1], "relu", "sgd", parts.training.x, y, 30)
            held = loss_and_gradient(params, [2, 4, 1], "relu", parts.held_out.x, parts.held_out.y)[0]
            found = [getattr(result.measures, name)[labelling, start] for name in result.measures._fields]
            np.testing.assert_allclose(found, [losses[0], losses[-1], losses.min(), held, 0], rtol=1e-9)


@pytest.mark.slow
def test_many_problems_give_what_each_gives_alone():
    parts = [split(_noise(20, seed=seed), seed=0) for seed in range(3)]
    arguments = {"optimizer": optax.adam(0.05), "steps": 20, "permutations": 9, "starts": 2}
    together = placebo_tests(_design(SMALL, parts, **arguments))
    alone = placebo_test(SMALL, parts[0].training, held_out=parts[0].held_out, **arguments)
    for one, two in zip(together[0].measures, alone.measures, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    assert len({result.tested.real for result in together}) == 3


def test_labels_of_groups_stay_within_them():
    """Between the groups labels differ, and the input says which group it is; within them it says nothing."""
    random = np.random.default_rng(3)
    groups = np.repeat([0, 1], 30)
    problem = jl.Problem(groups + 0.1 * random.normal(size=60), groups + 0.3 * random.normal(size=60))
    arguments = {"steps": 200, "permutations": 99}
    line = jl.mlp([1, 1], "identity")
    assert placebo_test(line, problem, DESCENT, **arguments).p_value.value == 0.01
    within = placebo_test(line, problem, DESCENT, groups=groups, **arguments)
    assert within.p_value.value > 0.05


def test_labels_drawn_from_a_distribution():
    """A Monte-Carlo test: under the normal distribution that is given, a larger variance is no fit at all."""
    problem = jl.Problem(RANDOM.normal(size=(30, 3)), 5 * RANDOM.normal(size=30))
    result = placebo_test(
        LINEAR, problem, DESCENT, steps=200, permutations=19, labels=lambda random, y: random.normal(size=y.shape)
    )
    assert result.p_value.value == 1
    assert result.distinct == np.inf


@pytest.mark.slow
def test_fits_that_diverge_count_as_the_worst_and_are_flagged():
    problem = _noise(20)
    everything = placebo_test(SMALL, problem, optax.sgd(1e6), steps=50, permutations=9, held_out=problem)
    assert everything.measures.diverged.all()
    assert everything.p_value.value == 1
    assert everything.p_value.ties == 9
    assert set(everything.overview["p_value"]) == {1.0}
    # Here real labels are harmless and placebos so large that they diverge: the real fit is the best.
    some = placebo_test(
        SMALL, problem, optax.sgd(0.1), steps=50, permutations=9, labels=lambda random, y: 1e6 + 1e6 * y
    )
    assert some.measures.diverged[1:].all()
    assert not some.measures.diverged[0].any()
    assert some.p_value.value == 0.1
    assert "9 diverged" in some.summary


def test_all_labels_of_four_points():
    """With 4 points the p-value of all 24 orders is known; the test comes as close as its interval says."""
    x, y = np.array([0.0, 1, 2, 3]), np.array([0.0, 1, 2, 4])
    values = [_residual(x[:, None], np.array(order)) for order in permutations(y)]
    exact = np.mean(np.array(values) <= values[0] + 1e-9)
    line = jl.mlp([1, 1], "identity")
    result = placebo_test(line, jl.Problem(x, y), DESCENT, steps=600, permutations=399, dtype="float64")
    assert result.p_value.low <= exact <= result.p_value.high
    assert result.distinct == 24
    assert "only 24 ways: no p-value is below 0.042" in result.summary


def test_the_statistic_is_the_median_over_the_starts():
    result = placebo_test(SMALL, _noise(20), optax.adam(0.05), steps=20, permutations=9, starts=3)
    np.testing.assert_array_equal(result.tested.null, np.median(result.measures.training_loss, axis=1)[1:])
    assert result.tested.real == np.median(result.tested.real_by_start)
    assert len(result.tested.p_value_by_start) == 3


def test_table_and_overview_hold_everything():
    parts = split(_noise(20))
    result = placebo_test(
        SMALL, parts.training, optax.adam(0.05), steps=20, permutations=9, starts=2, held_out=parts.held_out
    )
    assert len(result.table) == result.fits == 20
    np.testing.assert_array_equal(
        result.table.query("labels == 'real'")["validation_loss"], result.measures.validation_loss[0]
    )
    assert result.overview["statistic"].tolist() == list(STATISTICS)
    assert result.overview.set_index("statistic").loc["validation_loss", "chosen"]
    assert result.overview["p_value"].between(0.1, 1).all()


def test_without_points_held_out_there_are_fewer_statistics():
    result = placebo_test(SMALL, _noise(20), optax.adam(0.05), steps=5, permutations=9)
    assert result.statistics == ("training_loss", "best_training_loss", "training_improvement")
    with pytest.raises(ValueError, match="needs points held out"):
        result.test("validation_loss")


def test_the_summary_says_what_more_permutations_would_give():
    x = np.linspace(-1, 1, 40)
    result = placebo_test(jl.mlp([1, 1], "identity"), jl.Problem(x, x), DESCENT, steps=50, permutations=99)
    assert "p = 0.01: 0 of 99 placebos are as good" in result.summary
    assert "to reach p = 0.001 at all takes 999" in result.summary
    assert "to tell it from 0.01, if still no placebo is as good, takes about 368" in result.summary


class _Spy:
    """Counts the fits that are really trained for a folder; the shard after some is interrupted where that is asked."""

    def __init__(self, monkeypatch, shards=None):
        self.fits, original = 0, fitting.train_shard

        def counted(store, prepared, task, *arguments):
            if shards is not None and self.fits >= 64 * shards:
                raise KeyboardInterrupt
            self.fits += task.stop - task.start
            original(store, prepared, task, *arguments)

        monkeypatch.setattr(fitting, "train_shard", counted)


@pytest.mark.slow
@pytest.mark.parametrize("problems", [1, 2])
def test_an_interrupted_test_goes_on_where_it_stopped(tmp_path, monkeypatch, problems):
    parts = [split(_noise(12, seed=seed)) for seed in range(problems)]
    design = _design(SMALL, parts, optimizer=optax.adam(0.05), steps=5, permutations=149, starts=2)
    whole = placebo_tests(design)
    with monkeypatch.context() as patched:
        _Spy(patched, shards=2)
        with pytest.raises(KeyboardInterrupt):
            placebo_tests(design, folder=tmp_path)
    assert jl.open(tmp_path).status()["ensembles"]["fits"]["done"] == 128
    spy = _Spy(monkeypatch)
    again = placebo_tests(design, folder=tmp_path)
    assert spy.fits == 300 * problems - 128
    for one, two in zip(whole, again, strict=True):
        for name, values in one.measures._asdict().items():
            np.testing.assert_array_equal(values, getattr(two.measures, name))


@pytest.mark.slow
def test_a_test_can_be_given_more_permutations_but_not_fewer(tmp_path, monkeypatch):
    problem, optimizer = _noise(10), optax.adam(0.05)
    few = placebo_test(SMALL, problem, optimizer, steps=5, permutations=9, starts=3, folder=tmp_path)
    spy = _Spy(monkeypatch)
    more = placebo_test(SMALL, problem, optimizer, steps=5, permutations=99, starts=3, folder=tmp_path)
    assert spy.fits == 3 * (100 - 10)
    np.testing.assert_array_equal(more.measures.training_loss[:10], few.measures.training_loss)
    with pytest.raises(StoreError, match="300 fits already, and 30 are asked for: give as many permutations"):
        placebo_test(SMALL, problem, optimizer, steps=5, permutations=9, starts=3, folder=tmp_path)


def test_a_folder_is_a_study_directory(tmp_path):
    problem = _noise(10)
    result = placebo_test(SMALL, problem, DESCENT, steps=5, permutations=9, held_out=_noise(4, seed=9), folder=tmp_path)
    assert result.explanation == f"lanes: read from {tmp_path}."
    stored = jl.open(tmp_path)
    np.testing.assert_array_equal(stored.table()["loss"], result.measures.training_loss[:, 0])
    alone = jl.fit(
        SMALL, problem, DESCENT, fits=1, steps=5, start=starting_points(SMALL, 1),
        targets=Design(SMALL, (problem,), (), DESCENT, 5, 9).labelling(0, 7)[None],
    )  # fmt: skip
    np.testing.assert_array_equal(stored.params()[7], alone.params[0])
    assert f"- p = {result.p_value.value:.4g}" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "figures" / "placebo.png").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 6},
        {"seed": 1},
        {"optimizer": optax.adam(0.01)},
        {"starts": 2},
        {"groups": np.repeat([0, 1], 5)},
        {"labels": lambda random, y: random.normal(size=y.shape)},
        {"dtype": "float64"},
        {"held_out": _noise(4, seed=9)},
        {"problem": _noise(10, seed=2)},
        {"network": jl.mlp([2, 4, 1], "tanh", init="pytorch_uniform")},
        {"backend": "xla"},
    ],
)
def test_another_test_in_the_same_folder_is_refused(tmp_path, changes):
    arguments = {"network": SMALL, "problem": _noise(10), "optimizer": optax.adam(0.05), "steps": 5, "permutations": 9}
    placebo_test(**arguments, folder=tmp_path)
    with pytest.raises(StoreError, match=r"holds another configuration|was trained differently"):
        placebo_test(**{**arguments, **changes}, folder=tmp_path)


def test_tests_of_several_problems_cannot_be_given_more(tmp_path):
    parts = [split(_noise(12, seed=seed)) for seed in range(2)]
    arguments = {"optimizer": optax.adam(0.05), "steps": 5}
    placebo_tests(_design(SMALL, parts, permutations=9, **arguments), folder=tmp_path)
    with pytest.raises(StoreError, match="holds another configuration"):
        placebo_tests(_design(SMALL, parts, permutations=19, **arguments), folder=tmp_path)


@pytest.mark.parametrize("place", ["0123456789abcdef", "parts/0123456789abcdef"])
def test_a_folder_of_an_earlier_version_is_refused(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "fits-0-512-0123456789abcdef.npz").touch()
    with pytest.raises(StoreError, match="an earlier jaxland"):
        placebo_test(SMALL, _noise(10), DESCENT, steps=5, permutations=9, folder=tmp_path)


@pytest.mark.slow
def test_both_backends_find_the_same():
    problem, arguments = _noise(20), {"steps": 50, "permutations": 49}
    lanes, xla = (
        placebo_test(SMALL, problem, optax.adam(0.02), backend=name, **arguments) for name in ("lanes", "xla")
    )
    np.testing.assert_allclose(lanes.measures.training_loss, xla.measures.training_loss, rtol=1e-3)
    assert lanes.explanation.startswith("lanes")
    assert xla.explanation.startswith("xla")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"permutations": 0}, "permutations must be a positive integer; got 0"),
        ({"starts": -1}, "starts must be a positive integer; got -1"),
        ({"steps": 0}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"threads": 0}, "threads must be"),
        ({"dtype": "float16"}, "float16"),
        ({"statistic": "traning_loss"}, "Did you mean 'training_loss'"),
        ({"statistic": "validation_loss"}, "needs points held out"),
        ({"labels": "shuffled"}, "'permuted' or a function|parameter 'labels'"),
        ({"labels": lambda random, y: y[:3]}, r"finite labels of shape \(10, 1\); got shape \(3, 1\)"),
        ({"labels": lambda random, y: y * np.nan}, "finite labels"),
        ({"groups": np.zeros(9)}, "each of the 10 points"),
        ({"groups": np.arange(10)}, "no permutation changes the labels"),
        ({"problem": jl.Problem(np.arange(10.0)[:, None] * [1, 2], np.ones(10))}, "no permutation changes"),
        ({"network": LINEAR}, "takes 3 inputs, but x has 2"),
        ({"held_out": _noise(5, 3)}, "x has 2 components, but held out 3"),
        ({"optimizer": "adam"}, "optax"),
        ({"folder": "../up"}, "climbs"),
        ({"permutations": 2**32}, "more than can be numbered"),
    ],
)
def test_bad_arguments(changes, message):
    arguments = {"network": SMALL, "problem": _noise(10), "optimizer": DESCENT, "steps": 5, "permutations": 9}
    with pytest.raises((ValueError, TypeError), match=message):
        placebo_test(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": ()}, "no problem"),
        ({"problems": (_noise(10), _noise(11))}, "the same shapes"),
        ({"held_out": (_noise(3),)}, "one set a problem; got 1"),
        ({"problems": (_noise(10), jl.Problem(np.ones((10, 2)), np.arange(10), "sum_squared_error"))}, "the same loss"),
    ],
)
def test_bad_sets_of_problems(changes, message):
    arguments = {"problems": (_noise(10), _noise(10, seed=1)), "held_out": (), "steps": 5, "permutations": 9}
    with pytest.raises(ValueError, match=message):
        Design(network=SMALL, optimizer=DESCENT, **{**arguments, **changes})


def test_batches_are_those_of_the_start_whatever_the_labels():
    """Each fit is that of `jl.fit` with its labels, and with the batches that its start has."""
    problem = _noise(16)
    shared = {"steps": 12, "batch_size": 5, "seed": 2}
    result = placebo_test(SMALL, problem, DESCENT, permutations=3, starts=2, **shared)
    design = Design(SMALL, (problem,), (), DESCENT, 12, 3, 2, seed=2)
    for labelling in range(4):
        own = jl.Problem(problem.x, design.labelling(0, labelling))
        alone = jl.fit(SMALL, own, DESCENT, fits=2, start=starting_points(SMALL, 2, seed=2), **shared)
        np.testing.assert_allclose(result.measures.training_loss[labelling], alone.loss, rtol=1e-5)
    whole = placebo_test(SMALL, problem, DESCENT, permutations=3, starts=2, steps=12, seed=2)
    assert (abs(whole.measures.training_loss / result.measures.training_loss - 1) > 1e-3).all()


def test_classes_are_permuted_as_other_labels_are():
    """Which class is decided by the input is found; which is not, is not; the loss is the cross-entropy of each."""
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 2))
    net, adam = jl.mlp([2, 3], "identity"), optax.adam(0.1)
    classes = np.digitize(x[:, 0], [-0.5, 0.5])
    shared = {"steps": 60, "permutations": 39}
    found = placebo_test(net, jl.Problem(x, classes, "softmax_cross_entropy"), adam, **shared)
    assert found.p_value.value == 1 / 40
    nothing = placebo_test(net, jl.Problem(x, random.permutation(classes), "softmax_cross_entropy"), adam, **shared)
    assert nothing.p_value.value > 0.05
    shares = np.bincount(classes) / 60
    assert (nothing.measures.training_loss <= -(shares * np.log(shares)).sum() + 1e-3).all()


def test_statistics_are_offered_by_the_command_as_they_are():
    assert get_args(Statistics) == tuple(STATISTICS)


@pytest.mark.slow
def test_p_values_of_noise_are_uniform_with_batches():
    results = _tests_of_noise(SMALL, optax.adam(0.05), 2000, 24, 2, steps=60, permutations=19, batch_size=7)
    _check_uniform(results, "validation_loss", (0.05, 0.2))
