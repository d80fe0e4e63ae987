"""A call that is like an earlier one traces the user's functions, once, and compiles nothing; what changed is seen."""

import subprocess
import sys
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import Ensemble, executables, starting_points
from jaxland.training.calls import once, one_call
from jaxland.training.wording import Unworded, digest

pytestmark = pytest.mark.sampled

X = np.linspace(-1, 1, 8)
PROBLEM = jl.Problem(X, np.sin(2 * X))
BACKENDS = pytest.mark.parametrize("backend", ["lanes", "xla"])
SHAPE = jax.ShapeDtypeStruct((3,), np.float32)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(executables, "_KEPT", type(executables._KEPT)())


@contextmanager
def _compilations():
    """Of XLA, while this lasts."""
    found = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.clear_event_listeners()


def _fit(backend, network=None, problem=PROBLEM, optimizer=None, **given):
    optimizer = optimizer or optax.adam(0.01)
    return jl.fit(network or jl.mlp([1, 3, 1]), problem, optimizer, **{"fits": 4, "steps": 3, **given}, backend=backend)


@BACKENDS
def test_equal_objects_made_anew_compile_nothing(backend):
    rates = {"optimizer": optax.sgd, "hyperparameters": {"learning_rate": 0.1}}
    first, _ = _fit(backend), _fit(backend, **rates)
    with _compilations() as compiled:
        again = _fit(backend)
        _fit(backend, seed=5, fits=9, steps=7, problem=jl.Problem(2 * X, X))
        _fit(backend, **{**rates, "hyperparameters": {"learning_rate": np.geomspace(0.01, 1, 4)}})
    # Other data of a kernel are probed again, by a program that was kept.
    assert compiled == []
    np.testing.assert_array_equal(again.params, first.params)


@BACKENDS
def test_each_function_is_traced_a_fixed_few_times(backend):
    traces = {"init": 0, "apply": 0, "loss": 0}
    plain = jl.mlp([1, 3, 1])

    def counted(name, function):
        def call(*args):
            traces[name] += 1
            return function(*args)

        return call

    def fresh():
        network = jl.Network(counted("init", plain.init), counted("apply", plain.apply))
        return {"network": network, "problem": jl.Problem(X, X**2, counted("loss", lambda p, t: (p - t) ** 2))}

    _fit(backend, **fresh())
    traces.update(dict.fromkeys(traces, 0))
    _fit(backend, **fresh())
    # init for the shapes and the starts; the rest forward and with its gradient, a loss also for its shapes.
    assert traces == {"init": 2, "apply": 2, "loss": 3}


@BACKENDS
def test_a_captured_array_that_is_changed_in_place_is_seen(backend):
    scale = np.ones((1, 1), np.float32)
    plain = jl.mlp([1, 3, 1])
    network = jl.Network(plain.init, lambda params, x: plain.apply(params, x) * scale)
    one = _fit(backend, network)
    scale[0, 0] = 3
    three = _fit(backend, network)
    scale[0, 0] = 1
    again = _fit(backend, network)
    outputs = [np.asarray(plain.apply(plain.unflatten(start), X[:, None])) for start in starting_points(plain, 4)]
    expected = [[np.mean((by * out - PROBLEM.y) ** 2) for out in outputs] for by in (1, 3)]
    np.testing.assert_allclose(one.initial_loss, expected[0], rtol=1e-5)
    np.testing.assert_allclose(three.initial_loss, expected[1], rtol=1e-5)
    np.testing.assert_array_equal(again.params, one.params)


FACTOR = 1.0


@BACKENDS
@pytest.mark.parametrize(
    "where", ["network", "init", *(pytest.param(where, marks=pytest.mark.slow) for where in ("loss", "optimizer"))]
)
def test_a_global_that_changes_is_seen(backend, where, monkeypatch):
    plain, sgd = jl.mlp([1, 3, 1]), optax.sgd(0.1)

    def by(name, value):
        return jax.tree.map(lambda leaf: leaf * FACTOR, value) if name == where else value

    def update(updates, state, params=None):
        return by("optimizer", sgd.update(updates, state, params)[0]), state

    network = jl.Network(lambda key: by("init", plain.init(key)), lambda p, x: by("network", plain.apply(p, x)))
    problem = jl.Problem(X, np.sin(X), loss=lambda p, t: by("loss", (p - t) ** 2))
    optimizer = optax.GradientTransformation(sgd.init, update)
    found = {}
    for factor in (1.0, 1.5, 1.0 + 2**-23, 1.0):
        monkeypatch.setattr(sys.modules[__name__], "FACTOR", factor)
        fits = _fit(backend, network, problem, optimizer)
        if factor in found:
            np.testing.assert_array_equal(fits.params, found[factor])
        found[factor] = fits.params
    assert (found[1.0] != found[1.5]).any()
    if where == "init":
        np.testing.assert_array_equal(starting_points(network, 4), starting_points(plain, 4))


@BACKENDS
def test_a_derivative_or_value_of_ones_own_that_changes_is_seen(backend):
    """The value is not in the program of the gradient, nor the derivative in that of the value."""
    plain, numbers = jl.mlp([1, 3, 1], "tanh"), {"value": 1.0, "rule": 1.0, "slope": 1.0}

    @jax.custom_jvp
    def own(h):
        return numbers["value"] * h

    @own.defjvp
    def _(primals, tangents):
        return numbers["rule"] * primals[0], numbers["slope"] * tangents[0]

    network = jl.Network(plain.init, lambda params, x: own(plain.apply(params, x)))
    first = _fit(backend, network)
    # A kernel has no other loss than that of the gradient.
    for name in ("value", "rule", "slope") if backend == "xla" else ("rule", "slope"):
        numbers[name] = 2.0
        changed = _fit(backend, network)
        assert (changed.params != first.params).any() or (changed.loss != first.loss).any(), name
        numbers[name] = 1.0
    np.testing.assert_array_equal(_fit(backend, network).params, first.params)


def test_what_has_no_text_is_not_kept():
    plain, shift = jl.mlp([1, 3, 1]), [0.0]

    def apply(params, x):
        return plain.apply(params, x) + jax.pure_callback(
            lambda: np.full((8, 1), shift[0], np.float32),
            jax.ShapeDtypeStruct((8, 1), np.float32),
            vmap_method="broadcast_all",
        )

    network = jl.Network(plain.init, apply)
    with pytest.raises(Unworded, match="callback"):
        digest(jax.make_jaxpr(lambda v: network.apply_flat(v, jnp.ones((8, 1))))(jnp.zeros(network.size)))
    first = _fit("xla", network)
    shift[0] = 1.0
    assert (_fit("xla", network).initial_loss != first.initial_loss).all()


_AGAIN = """
import sys; sys.path.insert(0, {tests!r})
import numpy as np
from training.test_calls import _compilations, _fit
with _compilations() as compiled:
    fits = _fit({backend!r})
np.savez({path!r}, params=fits.params, compiled=len(compiled))
"""


@BACKENDS
def test_another_process_compiles_nothing_and_finds_the_same(backend, tmp_path, request):
    tests, found = str(request.config.rootpath / "tests"), []
    for name in ("first.npz", "second.npz"):
        code = _AGAIN.format(tests=tests, backend=backend, path=str(tmp_path / name))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "AOT" not in done.stderr
        found.append(np.load(tmp_path / name))
    assert [int(each["compiled"]) > 0 for each in found] == [True, False]
    np.testing.assert_array_equal(found[0]["params"], found[1]["params"])
    np.testing.assert_array_equal(found[0]["params"], _fit(backend).params)


def test_what_cannot_be_read_back_is_not_written(tmp_path, monkeypatch):
    shape = jax.ShapeDtypeStruct((2,), np.float32)
    program, other = (jax.jit(lambda x, by=by: [x * by]).lower(shape).compile() for by in (2.0, 3.0))
    device, folder = jax.devices()[0], tmp_path / "cache"
    for wrong in (None, other):
        monkeypatch.setattr(executables, "_loaded", lambda *_, wrong=wrong: wrong)
        executables.keep("name", program, device, [shape])
        assert not folder.exists()
    monkeypatch.setattr(executables, "_loaded", lambda *_: program)
    executables.keep("name", program, device, [shape])
    assert [path.name for path in folder.iterdir()] == ["name"]


@BACKENDS
def test_programs_on_disk_that_are_damaged_are_made_again(backend, tmp_path, monkeypatch):
    first = _fit(backend)
    for path in (tmp_path / "cache").iterdir():
        entry = path.read_bytes()
        path.write_bytes(entry[:-1] + bytes([entry[-1] ^ 1]))
    executables._KEPT.clear()
    np.testing.assert_array_equal(_fit(backend).params, first.params)
    executables._KEPT.clear()
    monkeypatch.setattr(executables, "_loaded", lambda *_: None)
    np.testing.assert_array_equal(_fit(backend).params, first.params)


def test_a_process_keeps_a_bounded_number_of_programs(monkeypatch):
    monkeypatch.setattr(executables, "_MOST", 3)
    _fit("xla")
    assert len(executables._KEPT) == 3


def test_what_is_made_once_a_call_is_made_anew_in_the_next():
    made, owner = [], PROBLEM
    for _ in range(2):
        with one_call():
            assert once(owner, "kind", lambda: made.append(1)) is once(owner, "kind", lambda: made.append(1))
    assert len(made) == 2
    once(owner, "kind", lambda: made.append(1))
    assert len(made) == 3


def test_programs_that_differ_in_anything_have_different_texts():
    array = np.arange(3, dtype=np.float32)
    nudged = np.nextafter(array, np.float32(9), dtype=np.float32)
    functions = [
        lambda x: x,
        lambda x: x * np.float32(0.1),
        lambda x: x * np.nextafter(np.float32(0.1), np.float32(1)),
        lambda x: x + array,
        lambda x: x + nudged,
        lambda x: x - array,
        lambda x: x[::2],
        lambda x: x[1:],
        lambda x: jax.jit(lambda y: y * 2)(x),
        lambda x: jax.jit(lambda y: y * 3)(x),
        lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y * 2, x),
        lambda x: jax.lax.fori_loop(0, 4, lambda _, y: y * 2, x),
        lambda x: jax.lax.cond(x[0] > 0, lambda: x, lambda: -x),
        lambda x: jax.lax.cond(x[0] > 0, lambda: -x, lambda: x),
        lambda x: jnp.vdot(x, x, precision="highest"),
        lambda x: jnp.vdot(x, x, precision="default"),
        lambda x: (x, x + 1),
        lambda x: (x + 1, x),
        lambda x: jax.random.normal(jax.random.key(0), (3,)),
        lambda x: jax.random.normal(jax.random.key(1), (3,)),
        lambda x: jax.random.normal(jax.random.key(0, impl="rbg"), (3,)),
    ]
    texts = [digest(jax.make_jaxpr(function)(SHAPE)) for function in functions]
    assert len(set(texts)) == len(functions)
    assert texts == [digest(jax.make_jaxpr(lambda x, f=function: f(x))(SHAPE)) for function in functions]


def test_a_primitive_of_the_same_name_as_one_of_jax_has_no_text():
    impostor = jax.extend.core.Primitive("sin")
    impostor.def_abstract_eval(lambda x: x)
    with pytest.raises(Unworded, match="sin"):
        digest(jax.make_jaxpr(lambda x: impostor.bind(x))(SHAPE))


def test_programs_that_change_while_they_are_made_are_not_kept():
    calls = []

    def apply(params, x):
        calls.append(1)
        return x @ params * float(len(calls))

    network = jl.Network(lambda key: jax.random.normal(key, (1, 1)), apply)
    ensemble = Ensemble(network, PROBLEM, optax.sgd(0.1), steps=1)
    before = dict(executables._KEPT)
    jl.training.choose_backend(ensemble, "xla")
    assert executables._KEPT.keys() == before.keys()
