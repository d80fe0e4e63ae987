"""Ensembles on the data sets that come with scikit-learn, beside its own networks on the same points.

What counts as reaching them was fixed beforehand: of five networks of scikit-learn, of the same widths, trained with
adam and early stopping on a tenth of the points, the median. The ensemble's mean must be no worse, and better than its
own median member.
"""

import jax
import numpy as np
import optax
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.metrics import accuracy_score, mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

import jaxland as jl

SETTINGS = {"hidden_layer_sizes": (32,), "early_stopping": True, "batch_size": 32, "max_iter": 200}


def _split(load, classes):
    x, y = load(return_X_y=True)
    labels = y if classes else None
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.25, random_state=0, stratify=labels)
    scaler = StandardScaler().fit(train_x)
    return scaler.transform(train_x), scaler.transform(test_x), train_y, test_y


def _ensemble(widths, problem):
    fits = jl.fit(
        jl.mlp(widths), problem, optax.adam(1e-3), fits=32, epochs=200, batch_size=32, validation=0.1, patience=10
    )
    return fits.at_best


@pytest.mark.slow
def test_diabetes():
    x, held_x, y, held_y = _split(load_diabetes, classes=False)
    center, spread = y.mean(), y.std()
    y, held_y = (y - center) / spread, (held_y - center) / spread
    networks = [MLPRegressor(random_state=k, **SETTINGS).fit(x, y) for k in range(5)]
    theirs = [mean_squared_error(held_y, network.predict(held_x)) for network in networks]
    fits = _ensemble([10, 32, 1], jl.Problem(x, y))
    members = ((fits.outputs(held_x)[..., 0] - held_y) ** 2).mean(axis=1)
    ours = mean_squared_error(held_y, fits.predict(held_x).mean[:, 0])
    assert ours <= np.median(theirs)
    assert ours < np.median(members)
    assert ours < held_y.var()


def _log_loss(labels, shares):
    return -np.mean(np.log(np.asarray(shares, np.float64)[np.arange(len(labels)), labels]))


@pytest.mark.slow
@pytest.mark.parametrize(("load", "classes"), [(load_breast_cancer, 2), (load_digits, 10)])
def test_classes(load, classes):
    x, held_x, y, held_y = _split(load, classes=True)
    theirs = [MLPClassifier(random_state=k, **SETTINGS).fit(x, y) for k in range(5)]
    losses = [_log_loss(held_y, each.predict_proba(held_x)) for each in theirs]
    fits = _ensemble([x.shape[1], 32, classes], jl.Problem(x, y, loss="softmax_cross_entropy"))
    shares = fits.predict(held_x, transform=jax.nn.softmax).mean
    members = [_log_loss(held_y, each) for each in fits.outputs(held_x, transform=jax.nn.softmax)]
    assert _log_loss(held_y, shares) <= np.median(losses)
    assert _log_loss(held_y, shares) < np.median(members)
    right = [accuracy_score(held_y, each.predict(held_x)) for each in theirs]
    assert accuracy_score(held_y, shares.argmax(axis=1)) >= np.median(right) - 1 / len(held_y)
