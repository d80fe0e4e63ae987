"""Points between kinks taken together: the same gradients, a fit of its own, and refusals that say why."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from training.lanes.bits import same_bits

import jaxland as jl
from jaxland.training import Ensemble, fit, train
from jaxland.training.lanes import LanesTrainer, runs
from jaxland.training.lanes.compression import lists_of
from jaxland.training.probe import Disagreement
from jaxland.training.program import piecewise
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.piecewise import trace_runs

pytestmark = pytest.mark.sampled

X = np.sort(np.random.default_rng(0).uniform(-1, 1, 70))
Y = np.sin(5 * X)
NETWORK = jl.mlp([1, 6, 6, 1])


def network(act, outputs=1):
    """1-6-6-O with a residual link."""

    def init(key):
        a, b, c, d = jax.random.split(key, 4)
        return {
            "a": jax.random.normal(a, (1, 6)),
            "a0": jax.random.normal(d, (6,)),
            "b": jax.random.normal(b, (6, 6)) / 2,
            "c": jax.random.normal(c, (6, outputs)) / 2,
        }

    def apply(params, x):
        h = act(x @ params["a"] + params["a0"][None])
        return (h + act(h @ params["b"])) @ params["c"]

    return jl.Network(init, apply)


NETWORKS = {
    "relu": network(jax.nn.relu),
    "maximum": network(lambda z: jnp.maximum(z, 0)),
    "leaky": network(jax.nn.leaky_relu),
    "absolute": network(jnp.abs),
    "clipped": network(lambda z: jnp.clip(z, -1, 1)),
    "relu6": network(jax.nn.relu6),
    "where": network(lambda z: jnp.where(z >= 0.25, 1.5 * z, z / 2)),
    "linear": network(lambda z: z),
    "two outputs": network(jax.nn.relu, 2),
    "mlp": NETWORK,
}


def ensemble(net=NETWORK, optimizer=None, *, steps=40, problem=None, **options):
    return Ensemble(
        net, problem or jl.Problem(X, Y), optimizer or optax.sgd(0.05, momentum=0.9), steps=steps, **options
    )


def trainer(ensemble, first=0, **options):
    """One that takes runs from the first step on, so that nothing is trained without them."""
    made = LanesTrainer(ensemble, compress=True, **options)
    made._first = made.settings["compress"] = first
    return made


def plain(ensemble):
    return LanesTrainer(ensemble, compress=False)


def gradients(trainer, start):
    """Loss and gradient at some parameters."""
    members = trainer.ensemble.members(np.arange(len(start)))
    group = trainer.advance(trainer.begin(members._replace(start=start)), 1)
    return trainer.entries(group, "loss")[:, 0], trainer.entries(group, "grad")


def check_gradients(ensemble, starts, tolerance):
    """Against all points, and against autodiff."""
    compressed, reference = trainer(ensemble), plain(ensemble)
    for start in starts:
        start = np.asarray(start, ensemble.number_format)
        (loss, gradient), (plain_loss, plain_gradient) = (gradients(each, start) for each in (compressed, reference))
        size = np.abs(plain_gradient).max(axis=1, keepdims=True) + np.sqrt(plain_loss)[:, None]
        assert (np.abs(gradient - plain_gradient) <= tolerance * size).all()
        np.testing.assert_allclose(loss, plain_loss, rtol=tolerance, atol=tolerance)
        if ensemble.targets is None:
            assert (np.abs(gradient[0] - autodiff(ensemble, start[0])) <= 8 * tolerance * size[0]).all()


def autodiff(ensemble, vector):
    net, problem = ensemble.network, ensemble.problem

    def loss(vector):
        return problem.loss(net.apply_flat(vector, jnp.asarray(problem.x)), jnp.asarray(problem.y))

    with jax.enable_x64(True):
        return np.asarray(jax.grad(loss)(jnp.asarray(vector, jnp.float64)))


def trained(ensemble, steps):
    made = plain(ensemble)
    return made.parameters(made.advance(made.begin(ensemble.members(np.arange(16))), steps))


_SOME = {"two outputs", "leaky", "where", "maximum"}


@pytest.mark.parametrize(
    "name", [name if name in _SOME else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_gradients_are_those_of_all_points(name):
    net = NETWORKS[name]
    outputs = 2 if name == "two outputs" else 1
    problem = jl.Problem(X, np.stack([Y, np.cos(3 * X)], axis=1)[:, :outputs])
    slow = optax.sgd(0.001, momentum=0.9)
    double = ensemble(net, slow, problem=problem, dtype="float64", steps=500)
    starts = [trained(double, steps)[:8] for steps in (0, 400)]
    check_gradients(double, starts, 2e-14)
    if name == "two outputs":
        wide = [np.tile(start, (2, 1)) for start in starts]
        check_gradients(ensemble(net, slow, problem=problem, steps=500), wide, 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["half_mean_squared_error", "sum_squared_error"])
def test_losses_that_are_squared_errors_times_a_number(loss):
    problem = jl.Problem(X, Y, loss)
    double = ensemble(problem=problem, dtype="float64")
    check_gradients(double, [trained(double, 0)[:8]], 2e-14)


def test_own_targets_and_points_in_any_order():
    rng = np.random.default_rng(1)
    order = rng.permutation(len(X))
    targets = rng.normal(size=(16, len(X), 1))
    double = ensemble(problem=jl.Problem(X[order], Y[order]), targets=targets, dtype="float64")
    check_gradients(double, [trained(double, 0)[:8]], 2e-14)


def kinked():
    """1-6-6-1 parameters with kinks exactly on points, dead units, a dead layer, zeros and equal units."""
    net = NETWORK
    rng = np.random.default_rng(2)
    start = rng.normal(size=(8, net.size))
    layers = [net.unflatten(jnp.asarray(vector)) for vector in start]
    made = []
    for number, layer in enumerate(layers):
        parts = [list(map(np.array, pair)) for pair in layer]
        weight, bias = parts[0]
        points = np.float32(X[[10, 20, 30, 40, 50, 60]])
        weight[:, 0] = np.where(np.arange(6) % 2, -1, 1)
        bias[:] = -weight[:, 0] * points  # each kink on a point
        if number == 1:
            bias[:] = 0
        if number == 2:
            weight[:], bias[:] = 0, -1  # all are dead
        if number == 3:
            weight[:], bias[:] = 0, 0
        if number == 4:
            weight[:], bias[:] = 1, -points[0]  # all kinks on one point
        if number == 5:
            parts[1][1][:] = -100
        made.append(np.concatenate([np.concatenate([w.ravel(), b.ravel()]) for w, b in parts]))
    return np.array(made, np.float32).astype(np.float64)


@pytest.mark.slow
def test_kinks_on_points_and_dead_units():
    problem = jl.Problem(np.float32(X), Y)
    double = ensemble(problem=problem, dtype="float64")
    check_gradients(double, [kinked()], 2e-14)
    check_gradients(ensemble(problem=problem), [np.tile(kinked(), (2, 1))], 2e-5)


def test_every_step_is_exact_while_kinks_move():
    """At each of many steps, whatever the lists have become, the gradient is that of all points."""
    wild = ensemble(optimizer=optax.sgd(0.3, momentum=0.9), dtype="float64", steps=400)
    compressed, reference = trainer(wild), plain(wild)
    group = compressed.begin(wild.members(np.arange(8)))
    parted = 0
    lists = lists_of(wild, compressed.width)
    for _ in range(60):
        before = compressed.parameters(group)
        group = compressed.advance(group, 1)
        loss, gradient = gradients(reference, before)
        size = np.abs(gradient).max(axis=1, keepdims=True) + np.sqrt(loss)[:, None]
        assert (np.abs(compressed.entries(group, "grad") - gradient) <= 2e-14 * size).all()
        parted += group.lists[0][lists.parted : lists.parted + 4 * 8].view(np.int32).sum()
    assert parted > 100  # else nothing was followed


def test_lists_cover_every_point_once():
    one = ensemble(optimizer=optax.sgd(0.3, momentum=0.9), steps=400)
    compressed = trainer(one)
    group, lists = compressed.begin(one.members(np.arange(16))), lists_of(one, compressed.width)
    lanes, points = compressed.width, len(X)
    for _ in range(40):
        group = compressed.advance(group, 1)
        memory = group.lists[0]
        count = memory[lists.count : lists.count + 4 * lanes].view(np.int32)
        first, last = (memory[at : at + 4 * lanes * points].view(np.int32) for at in (lists.first, lists.last))
        core = memory[lists.core : lists.core + 4 * points].view(np.int32)
        for lane in range(lanes):
            covered = []
            for slot in range(count[lane]):
                a, b = (array.reshape(points, lanes)[slot, lane] for array in (first, last))
                covered += list(range(a, b + 1)) if core[slot] >> lane & 1 else sorted({a, b})
            assert sorted(covered) == list(range(points))


@pytest.fixture
def often(monkeypatch):
    """Fits change places, and runs are made anew, every eight steps, in as large groups as can be."""
    monkeypatch.setattr(runs, "REGROUPED", 8)
    monkeypatch.setattr("jaxland.training.loop._ROUNDS", 1)


@pytest.fixture(scope="module")
def moving():
    return ensemble(optimizer=optax.adam(0.02), steps=60, trace_every=7, snapshots=(0, 13, 60))


@pytest.mark.parametrize("together", [1, 2, 4])
@pytest.mark.parametrize(("first", "count"), [(0, 64), (5, 20), (37, 1)])
def test_bits_do_not_depend_on_neighbours_or_places(moving, often, together, first, count):
    whole = trainer(moving, first=16)
    whole.together = 4
    everything, kept = train(whole, moving, 0, 64, threads=1)
    part = trainer(moving, first=16)
    part.together = together
    some, some_kept = train(part, moving, first, count, threads=2)
    same_bits(some, type(some)(*(values[first : first + count] for values in everything)))
    np.testing.assert_array_equal(some_kept, kept[first : first + count])


def test_bits_do_not_depend_on_cuts(moving, often):
    one = trainer(moving, first=16)
    group = one.begin(moving.members(np.arange(64)))
    for steps in (1, 14, 3, 5, 20, 17):
        group = one.advance(group, steps)
    whole = one.advance(one.begin(moving.members(np.arange(64))), 60)
    same_bits(one.finish(group), one.finish(whole))


def test_settings_repeat_a_trainer(moving, often):
    one = trainer(moving, first=16)
    again = LanesTrainer(moving, dict(one.settings))
    assert again.settings == one.settings
    same_bits(*(train(each, moving, 0, 16)[0] for each in (one, again)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_width_of_registers(dtype, monkeypatch):
    one = ensemble(steps=60, dtype=dtype)
    results = []
    for instructions in ("avx512", "avx2"):
        monkeypatch.setenv("JAXLAND_INSTRUCTIONS", instructions)
        try:
            results.append(train(trainer(one), one, 0, 16)[0])
        except ValueError:
            pytest.skip(f"this processor lacks {instructions}")
    same_bits(*results)


def test_what_a_diverging_fit_becomes_does_not_depend_on_neighbours(often):
    """It has as many slots as the longest list beside it, and all but its own must count nothing."""
    start = np.random.default_rng(0).normal(size=(32, NETWORK.size)).astype(np.float32)
    start[20] *= 1e13
    one = ensemble(optimizer=optax.sgd(0.1), start=start, steps=30)
    beside, _ = train(trainer(one), one, 0, 32)
    start[np.arange(32) != 20] = 0
    alone, _ = train(trainer(one), one, 0, 32)
    assert beside.diverged_step[20] >= 0
    same_bits(*(type(beside)(*(values[20:21] for values in result)) for result in (beside, alone)))


def test_steps_before_the_first_are_those_of_all_points():
    one = ensemble(steps=20)
    compressed, reference = trainer(one, first=20), plain(one)
    same_bits(*(train(each, one, 0, 16)[0] for each in (compressed, reference)))


def test_trajectories_stay_as_close_as_rounding_lets_them():
    one = ensemble(optimizer=optax.sgd(0.01, momentum=0.9), steps=100)
    compressed, reference = (train(each, one, 0, 32)[0] for each in (trainer(one), plain(one)))
    np.testing.assert_allclose(compressed.params, reference.params, atol=2e-4)
    assert not np.array_equal(compressed.params, reference.params)


REFUSED = {
    "sigmoid": (ensemble(jl.mlp([1, 3, 1], "sigmoid")), "piecewise linear"),
    "square": (ensemble(network(lambda z: z * z)), "products"),
    "two inputs": (ensemble(jl.mlp([2, 3, 1]), problem=jl.Problem(np.c_[X, Y], Y)), "one shared column"),
    "own inputs": (ensemble(inputs=np.tile(X[:, None], (2, 1, 1))), "one shared column"),
    "equal points": (ensemble(problem=jl.Problem(np.repeat(X, 2), np.repeat(Y, 2))), "differ from each other"),
    "absolute error": (ensemble(problem=jl.Problem(X, Y, "mean_absolute_error")), "squared errors"),
    "steps": (ensemble(network(lambda z: jnp.floor(4 * z))), "piecewise linear"),
    "straight through": (
        ensemble(network(lambda z: z + jax.lax.stop_gradient(jnp.exp(z) - z))),
        "piecewise linear",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_runs_is_refused_with_the_reason(name):
    refused, reason = REFUSED[name]
    with pytest.raises(Unlowerable, match=reason):
        LanesTrainer(refused, compress=True)
    with pytest.raises(Unlowerable, match=reason):  # remembered
        LanesTrainer(refused, compress=True)
    assert LanesTrainer(refused).settings["compress"] is None


def _stopped(change):
    """A loss of squared errors, as far as its derivatives show."""
    return lambda p, t: (p + jax.lax.stop_gradient(change(p) - p) - t) ** 2


LOSSES = {
    "a linear term": lambda p, t: (p - t) ** 2 + 0.1 * p,
    "a clamp that derivatives do not see": _stopped(lambda p: jnp.clip(p, -2.5, 2.5)),
    "a power that derivatives do not see": _stopped(lambda p: p * p),
    "a term that derivatives do not see": lambda p, t: (p - t) ** 2 + jax.lax.stop_gradient(jnp.maximum(p - 4, 0)) * p,
    "huber": lambda p, t: optax.huber_loss(p, t),
    "a fourth power": lambda p, t: (p - t) ** 2 + 1e-3 * (p - t) ** 4,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_that_only_look_like_squared_errors(name):
    loss = jl.problems.Loss("odd", LOSSES[name], least_squares=True)
    with pytest.raises(Unlowerable, match="squared errors"):
        trace_runs(ensemble(problem=jl.Problem(X, Y, loss)))


@jax.custom_vjp
def _counting(z, count):
    return z - 0 * count


_counting.defvjp(lambda z, count: (z - 0 * count, z), lambda z, slope: (slope, jnp.sum(jnp.where(z > 2.5, 0.01, 0.0))))


def test_a_gradient_without_residuals_is_refused():
    net = jl.Network(
        lambda key: {"w": jax.random.normal(key, (1, 1)), "count": jnp.zeros(())},
        lambda p, x: _counting(jax.nn.relu(x @ p["w"]), p["count"]),
    )
    with pytest.raises(Unlowerable, match="linear in the residuals"):
        trace_runs(ensemble(net))


def test_what_a_fit_waits_for_goes_with_it(monkeypatch):
    """Over so many steps that lists have been made anew sooner for some fits and later for others."""
    monkeypatch.setattr(runs, "REGROUPED", 64)
    x = np.random.default_rng(3).uniform(-1, 1, 120)
    one = ensemble(problem=jl.Problem(x, np.sin(9 * x)), steps=500)
    many = trainer(one)
    group, lists = many.begin(one.members(np.arange(4 * many.width))), lists_of(one, many.width)
    group = many.advance(group, 500)
    waits = [memory[lists.waits : lists.waits + 4 * many.width].view(np.int32) for memory in group.lists]
    assert len(np.unique(waits)) > 1
    same_bits(many.finish(group), train(trainer(one), one, 0, 4 * many.width)[0])


def test_a_wrong_kernel_is_found_before_it_trains(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(piecewise, "_curvature", lambda ensemble: 1.99)
    long = ensemble(steps=4 * runs.PLAIN_STEPS)
    with pytest.raises(Disagreement):
        LanesTrainer(long, compress=True)
    fallen_back = LanesTrainer(long)
    assert fallen_back.settings["compress"] is None


def test_it_is_chosen_where_points_are_many_and_steps_too():
    assert LanesTrainer(ensemble(steps=2000)).settings["compress"] == runs.PLAIN_STEPS
    assert LanesTrainer(ensemble(steps=100)).settings["compress"] is None
    few = jl.Problem(X[:30], Y[:30])
    assert LanesTrainer(ensemble(problem=few, steps=2000)).settings["compress"] is None
    assert LanesTrainer(ensemble(steps=2000), compress=False).settings["compress"] is None


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [optax.sgd(0.01, momentum=0.9), optax.adam(1e-3), optax.adadelta(1.0)])
def test_losses_have_the_same_distribution(optimizer):
    """2 x 2,048 fits of the sawtooth's network, the same starts: criterion, Kolmogorov-Smirnov at 5 %.

    A tenth of them become constant and have one loss, of which rounding moves the last place; the statistic would take
    that for a distance of a twentieth, so losses are compared to seven decimals, a hundred-thousandth of that loss.
    """
    one = Ensemble(jl.mlp([1, 5, 5, 5, 5, 5, 1]), jl.problems.sawtooth(), optimizer, steps=6000)
    with_runs, without = (train(LanesTrainer(one, compress=c), one, 0, 2048)[0].loss for c in (True, False))
    assert not np.array_equal(with_runs, without)
    with_runs, without = (np.round(losses.astype(np.float64), 7) for losses in (with_runs, without))
    assert stats.ks_2samp(with_runs, without, method="asymp").pvalue > 0.05
    # And where there is a difference, it is seen.
    assert stats.ks_2samp(with_runs, without * 1.02, method="asymp").pvalue < 0.05


def test_the_public_function_says_how_it_trained():
    fits = fit(NETWORK, jl.Problem(X, Y), optax.sgd(0.05), fits=16, steps=1100)
    assert "points between kinks" in fits.explanation
