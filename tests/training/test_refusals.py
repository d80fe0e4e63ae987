"""What cannot be trained is refused with field, value and remedy, before any work.

The expressions are evaluated in a process of their own: here, a type checker would refuse most of them first.
"""

import json
import re
import subprocess
import sys

import pytest

_BEGIN = """
import json, sys, tempfile
from functools import partial
import jax, jax.numpy as jnp, numpy as np, optax, scipy.stats
from sklearn.metrics import f1_score, mean_squared_error
import jaxland as jl
from jaxland import Problem
from jaxland.problems import Loss, Penalty, bootstrap, get_loss, k_fold, l1, l2
from jaxland.training import Ensemble, Fits, Validation, starting_points

x = np.linspace(-1, 1, 12)[:, None]
y, near = x**2, (x + 0.03, x**2)
net, problem, quantile = jl.mlp([1, 3, 1]), Problem(x, y), Problem(x, y, loss="quantile")
ones = lambda f: np.ones((len(f), 3, 1))
own = lambda apply: jl.Network(lambda key: jax.random.normal(key, (1, 1)), apply)
np_tanh = jl.networks.Activation("own", np.tanh, "sign")

def fit(problem=problem, **given):
    asked = {"network": net, "optimizer": optax.sgd(0.1), "fits": 30, "steps": 2, **given}
    return jl.fit(problem=problem, **asked)

def judged(**metrics):
    return fit(validation=near, metrics=metrics)

def sweep(design, network=net, problem=problem, optimizer=optax.sgd, **given):
    return jl.sweep(design, network, problem, optimizer, **{"steps": 2, **given})

def load(**code):
    return Fits.load(folder + "/fits.npz", optimizer=optax.sgd(0.1), **code)

rates = {"learning_rate": [0.1, 0.2]}
found = []
with tempfile.TemporaryDirectory() as folder:
    fit(validation=0.25).save(folder + "/fits.npz")
    for text in json.load(sys.stdin):
        try:
            found.append(["nothing", repr(eval(text))])
        except Exception as error:
            found.append([type(error).__name__, str(error)])
print(json.dumps(found))
"""

_JAX = r"it raised Tracer\w+Error: .* must be written with jax.numpy in place of NumPy, scikit-learn"
_CASES = {
    "judged(f1=lambda p, t: f1_score(np.asarray(t), np.asarray(p)))": ("TypeError", rf"metrics\['f1'\] .*{_JAX}"),
    "judged(mse=mean_squared_error)": ("TypeError", rf"metrics\['mse'\] .*{_JAX}"),
    "judged(none=lambda p, t: None)": ("TypeError", r"metrics\['none'\] must return one number.* a NoneType"),
    "judged(some=lambda p, t: p[:3, 0])": ("TypeError", r"one for each of the 12 points; .* returns shape \(3,\)"),
    "judged(one=lambda p: p)": ("TypeError", r"metrics\['one'\] cannot be taken: .* takes 1 positional argument"),
    "fit(Problem(x, y, penalty=lambda p: p[0].weight))": ("TypeError", r"shape \(3, 1\); take a sum or a mean of it"),
    "fit(Problem(x, y, penalty=lambda p: None))": ("TypeError", "must return one number, and returns a NoneType"),
    "fit(Problem(x, y, penalty=lambda p: Penalty('own', len)))": ("TypeError", "returns a Penalty; call it"),
    "fit(Problem(x, y, penalty=lambda: 1))": ("TypeError", "penalty '<lambda>' cannot be taken: .* 0 positional"),
    "Problem(x, y, penalty=[l2(0.1), l1])": ("TypeError", r"l1 makes one and is to be called"),
    "Problem(x, y, penalty='l2')": ("TypeError", r"penalty must be a Penalty such as .*l2\(1e-3\).*got 'l2'"),
    "Problem(x, y, penalty={'l2': 0.1})": ("TypeError", r"penalty must be a Penalty .*got {'l2': 0.1}"),
    "Penalty(lambda p: 1, 'own')": ("TypeError", "a name and a function of the parameters"),
    "Penalty('own', lambda p, c: c, [1])": ("TypeError", r"penalty 'own': numbers must be numbers by name.*got \[1\]"),
    "l2('0.1')": ("TypeError", "penalty 'l2': numbers must be finite numbers by name; got 'l2': '0.1'"),
    "Loss('own', abs, numbers=[1])": ("TypeError", r"loss 'own': numbers must be numbers by name"),
    "Loss(abs)": ("TypeError", "a loss needs a name"),
    "Loss('own', 'abs')": ("TypeError", "elementwise must be a function; got 'abs'"),
    "Problem(x, y, loss=None)": ("TypeError", r"loss must be a Loss, a name of one \(mean_squared.*got None"),
    "Problem(x, y, loss=5)": ("TypeError", "got 5"),
    "Problem(x, y, loss=Loss)": ("TypeError", "loss must be a Loss, .* got <class"),
    "Problem(x, y, 'huber', np.ones(12))": ("TypeError", "name must be a text; .* given by its name"),
    "Problem(x, y, network=jl.mlp)": ("TypeError", "network must be a jaxland Network, or None"),
    "fit(Problem(x, y, loss=get_loss))": ("TypeError", "loss 'get_loss' cannot be taken: .* takes 1 positional"),
    "fit(Problem(x, y, loss=mean_squared_error))": ("TypeError", rf"loss 'mean_squared_error' .*{_JAX}"),
    "fit(network=own(lambda p, x: np.tanh(x @ p)))": ("TypeError", rf"network 'custom': apply cannot be taken: {_JAX}"),
    "fit(network=jl.Network(lambda key: np.sin(key), np.add))": ("TypeError", "init .* it raised .*jax.num"),
    "fit(network=jl.mlp([1, 3, 1], np_tanh))": ("TypeError", rf"network 'mlp-1-3-1-own': apply .*{_JAX}"),
    "fit(network=own(lambda p, x: p / 0 if p.sum() > 0 else x))": ("TypeError", r"apply .*Bool\w+: .* or `if`"),
    "fit().predict(x, transform=scipy.special.softmax)": ("TypeError", rf"transform cannot be taken: {_JAX}"),
    "fit(optimizer=optax.sgd(lambda step: np.exp(-step)))": ("TypeError", r"cannot take a step: .*jax.numpy"),
    "fit(optimizer=optax.MultiSteps(optax.sgd(0.1), 3))": ("TypeError", r"MultiSteps\(...\).gradient_transformation"),
    "fit(backend='gpu')": ("ValueError", "unknown backend 'gpu'; on a gpu it is 'cuda'"),
    "fit(network=jl.mlp([1, 3, 1], jax.nn.relu))": ("ValueError", r"Activation\('relu', function, scaling='none'\)"),
    "fit(optimizer=partial(optax.sgd, '0.1'))": ("TypeError", "the optimizer cannot take a step: "),
    "fit(optimizer=partial(optax.sgd, learning_rate='0.1'))": ("TypeError", "'learning_rate' is the text '0.1'"),
    "fit(Problem(x, y, loss=lambda p, t: None))": ("ValueError", "returns a NoneType"),
    "fit(quantile, hyperparameters={'level': 1.5})": ("ValueError", "level must lie between 0 and 1; got 1.5"),
    "fit(quantile, hyperparameters={'level': np.array(29 * [0.5] + [np.nan])})": ("ValueError", "0 and 1; got nan"),
    "fit(quantile, hyperparameters={'level': lambda f: np.where(f > 20, 2.0, 0.5)})": ("ValueError", "got 2"),
    "fit(Problem(x, y, loss='huber'), hyperparameters={'delta': -1})": ("ValueError", "delta must lie above 0; got -1"),
    "fit(Problem(x, y, loss='huber'), hyperparameters={'detla': 1})": ("TypeError", "Did you mean 'delta'"),
    "k_fold(problem, 2.5)": ("ValueError", "folds must be an integer between 2 and 12.* got 2.5"),
    "k_fold(5, problem)": ("TypeError", "problem must be a jaxland Problem.* got int"),
    "k_fold(problem, 5, seed=-1)": ("ValueError", r"seed must be an integer in \[0, 2\*\*32\); got -1"),
    "bootstrap(problem, seed=-1)": ("ValueError", r"seed must be an integer in \[0, 2\*\*32\); got -1"),
    "bootstrap(x)": ("TypeError", "problem must be a jaxland Problem.* got ndarray"),
    "starting_points(net, 5, seed=1.5)": ("ValueError", "seed must be an integer"),
    "fit(validation=near, min_gain=0.1)": ("ValueError", "min_gain=0.1 .*; give patience, too"),
    "fit(validation=(lambda f: ones(f) * np.nan, ones))": ("ValueError", "validation x has NaN or infinite values"),
    "fit(validation=(ones, lambda f: ones(f) / (f < 20)[:, None, None]))": ("ValueError", "validation y has NaN"),
    "fit(validation=problem)": ("TypeError", r"validation must be a pair \(x, y\).* got a Problem"),
    "fit(validation=Validation(x, y, share=0.2))": ("ValueError", "share=0.2 of the problem's points, not both"),
    "Validation(share='0.2')": ("TypeError", "share must be a number between 0 and 1; got '0.2'"),
    "load(validation=0.3)": ("TypeError", r"such as Validation\(x, y\) or Validation\(share=0.2\); got 0.3"),
    "load(validation=near)": ("TypeError", "must be a jaxland.training.Validation"),
    "fit(optimizer=optax.sgd, hyperparameters=[0.1])": ("TypeError", r"numbers by name, .*; got \[0.1\]"),
    "fit(optimizer=optax.sgd, hyperparameters={'learning_rate': np.nan})": ("ValueError", "has NaN"),
    "fit(network=problem, problem=net)": ("TypeError", r"network must be a jaxland Network, .* got Problem"),
    "fit(problem=(x, y))": ("TypeError", r"such as jl.Problem\(x, y\); got tuple"),
    "fit(first='a')": ("ValueError", "first must be an integer in"),
    "fit(seed=1.5)": ("ValueError", "seed must be an integer in"),
    "fit(dtype=None)": ("ValueError", "unknown dtype 'None'"),
    "fit(dtype=5)": ("ValueError", "unknown dtype '5'"),
    "fit(snapshots=2)": ("TypeError", r"snapshots must be steps, as in \(0, 100, 1000\); got 2"),
    "fit(snapshots=(0.5,))": ("TypeError", "snapshots must be steps"),
    "fit(init_scale=None)": ("TypeError", "init_scale must be one number, or one a fit; got None"),
    "fit(start=lambda: 1)": ("TypeError", r"start must be an array, or a function of the fits' numbers \(W,\) alone"),
    "fit(start=lambda f: None)": ("ValueError", "returned a NoneType; it must return one row a fit"),
    "fit(batch_size=4, replacement='no')": ("TypeError", "replacement must be True or False; got 'no'"),
    "jl.sweep(net, rates, problem, optax.sgd, steps=2)": ("TypeError", "a design is a table.* got Network"),
    "sweep({'learning_rate': 0.1})": ("TypeError", "column 'learning_rate' of a design must have a level for each row"),
    "sweep({**rates, 'seed': [np.nan, 1]})": ("ValueError", "levels of 'seed' must be integers"),
    "sweep({**rates, 'seed': [np.inf, 1]})": ("ValueError", "levels of 'seed' must be integers"),
    "sweep(rates, static='decay')": ("TypeError", "static must be names of factors, .* got 'decay'"),
    "sweep({**rates, 'level': [0.5, 1.5]}, problem=quantile)": ("ValueError", "level must lie between 0 and 1"),
    "sweep({'learning_rate': ['0.1', 0.2]})": ("TypeError", "'learning_rate' is the text '0.1', .* give a number"),
    "sweep(jl.grid(learning_rate=['fast', 'slow']))": ("TypeError", "'learning_rate' is the text 'fast'"),
    "sweep({**rates, 'level': ['0.5', 0.5]}, problem=quantile)": ("TypeError", "factor 'level' must be .* got '0.5'"),
    "sweep({**rates, 'init_scale': ['big', 1]})": ("TypeError", "levels of factor 'init_scale' must be .* got 'big'"),
    "sweep(rates, network=jl.mlp)": ("ValueError", "network takes 'widths', which is no factor"),
    "jl.latin_hypercube(2.5, a=(0, 1))": ("ValueError", "one row or more, and factors; got n=2.5"),
    "jl.latin_hypercube(8, rng='a', a=(0, 1))": ("TypeError", "rng must be a seed or a generator of NumPy; got 'a'"),
    "jl.latin_hypercube(8, rng=-1, a=(0, 1))": ("ValueError", "rng must be a seed that is not negative; got -1"),
    "jl.latin_hypercube(8, a=(0, np.inf))": ("ValueError", "finite low < high"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found():
    texts = json.dumps(list(_CASES))
    run = subprocess.run([sys.executable, "-c", _BEGIN], input=texts, capture_output=True, text=True, check=False)
    assert not run.returncode, run.stderr
    return dict(zip(_CASES, json.loads(run.stdout), strict=True))


@pytest.mark.parametrize("text", _CASES)
def test_what_is_wrong_is_said(text, found):
    kind, message = _CASES[text]
    assert found[text][0] == kind, found[text]
    assert re.search(message, found[text][1]), found[text][1]
