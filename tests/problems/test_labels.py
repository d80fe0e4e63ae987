"""Labels as people have them, against scikit-learn's encoders."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import LabelEncoder, OneHotEncoder
from sklearn.utils.class_weight import compute_sample_weight

from jaxland.problems import Loss, Problem, class_numbers, class_weights, one_hot

WORDS = ["cow", "cat", "dog", "cat", "ant", "dog"]
NUMBERS = [10, 9, -1, 9, 2, -1]


@pytest.mark.parametrize(
    "labels",
    [
        WORDS,
        tuple(WORDS),
        np.array(WORDS),
        np.array(WORDS, object),
        np.array(WORDS)[:, None],
        pd.Series(WORDS, name="animal"),
        pd.Series(WORDS, dtype="category"),
        pd.DataFrame({"animal": WORDS}),
        pl.Series(WORDS),
        pl.Series(WORDS).cast(pl.Categorical),
        pl.DataFrame({"animal": WORDS}),
        NUMBERS,
        np.array(NUMBERS, np.int8),
        np.array(NUMBERS, float),
        pd.Series(NUMBERS, dtype="Int64"),
        pl.Series(NUMBERS),
        [True, False, True],
        np.array([True, False, True]),
    ],
    ids=lambda labels: f"{type(labels).__module__}-{getattr(labels, 'dtype', type(labels).__name__)}",
)
def test_labels_are_those_of_scikit_learn(labels):
    flat = np.asarray(labels).ravel()
    flat = flat.astype(str) if flat.dtype == object else flat
    np.testing.assert_array_equal(class_numbers(labels)[:, 0], LabelEncoder().fit_transform(flat))
    found = one_hot(labels)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, OneHotEncoder(sparse_output=False).fit_transform(flat[:, None]))


def test_classes_have_the_order_given_and_may_be_absent():
    classes = ["dog", "cat", "ant", "cow", "emu"]
    categories: Any = [classes]
    expected = OneHotEncoder(categories=categories, sparse_output=False).fit_transform(np.array(WORDS)[:, None])
    np.testing.assert_array_equal(one_hot(WORDS, classes), expected)
    np.testing.assert_array_equal(one_hot(WORDS, np.array(classes)), expected)
    assert class_numbers([3, 1], classes=range(5)).tolist() == [[3], [1]]
    assert one_hot(["b"], ["a", "b"]).tolist() == [[0.0, 1.0]]


def test_they_are_targets():
    problem = Problem(np.arange(6.0), one_hot(WORDS), loss=Loss("cross_entropy", pointwise=optax.softmax_cross_entropy))
    logits = np.random.default_rng(0).normal(size=(6, 4))
    chosen = np.exp(logits)[np.arange(6), class_numbers(WORDS)[:, 0]] / np.exp(logits).sum(axis=1)
    found = float(problem.loss(jnp.asarray(logits), jnp.asarray(problem.y)))
    assert found == pytest.approx(-np.log(chosen).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (WORDS, ["cat", "dog"], r"labels has 'cow' in row 0, which is none of the classes \['cat', 'dog'\]"),
        ([0, 1, 7], [0, 1, 2], "labels has 7 in row 2"),
        (["1", "2"], [1, 2], r"labels has '1' in row 0, which is none of the classes \[1, 2\]"),
        ([0, 99], range(50), r"none of the classes \[0, 1, .*, 9, and 40 more\]"),
        (WORDS, ["cat", "dog", "cat"], r"classes names \['cat', 'dog', 'cat'\]; name each of them once"),
        (["a", "a"], None, r"the labels have \['a'\]; give all classes with classes="),
        (["a", None], None, r"no value in row 1 \(None\)"),
        ([1.0, np.nan], None, r"no value in row 1 \(nan\)"),
        (pd.Series([1, None], dtype="Int64"), None, r"no value in row 1 \(<NA>\)"),
        (pl.Series(["a", None]), None, "no value in row 1"),
        ([0.0, 0.5], None, r"labels has 0.5 \(float\) in row 1; a class is text or an integer"),
        (["a", 1], None, "labels has 'a' in row 0 but 1 in row 1; make all of one kind"),
        ([True, 2], None, "labels has True in row 0 but 2 in row 1"),
        (pd.Series(pd.date_range("2020-01-01", periods=2)), None, "a class is text or an integer"),
        ([], None, "one a point"),
        (np.eye(3), None, r"shape \(points,\); got shape \(3, 3\)"),
    ],
)
def test_what_is_no_label_is_refused(labels, classes, message):
    for function in (one_hot, class_numbers):
        with pytest.raises(ValueError, match=message):
            function(labels, classes)


@pytest.mark.parametrize("labels", [WORDS, NUMBERS, [True, False, True], pd.Series(WORDS), np.array(NUMBERS, float)])
def test_weights_of_classes_are_those_of_scikit_learn(labels):
    plain = np.asarray(labels).tolist()
    np.testing.assert_allclose(class_weights(labels), compute_sample_weight("balanced", plain), rtol=1e-15)
    each = {label: 0.5 + place for place, label in enumerate(dict.fromkeys(plain))}
    np.testing.assert_array_equal(class_weights(labels, each), compute_sample_weight(each, plain))
    assert Problem(np.arange(len(plain)), np.arange(len(plain)), weights=class_weights(labels)).weights is not None


@pytest.mark.parametrize(
    ("labels", "each", "message"),
    [
        (WORDS, {"cow": 1, "cat": 1, "dgo": 2, "ant": 1}, "no weight of the class 'dog'.* 'dgo'"),
        ([0, 1], {0: 1, 1: -2}, r"each\[1\] must be finite and not negative; got -2"),
        ([0, 1], {0: 1, 1: np.nan}, r"each\[1\] must be finite"),
        ([0, 1], {0: 1, 1: "2"}, "each must be real numbers; got text"),
        (["a", None], "balanced", "no value in row 1"),
        (np.eye(3), "balanced", r"shape \(points,\)"),
    ],
)
def test_what_is_no_weight_of_a_class_is_refused(labels, each, message):
    with pytest.raises(ValueError, match=message):
        class_weights(labels, each)


def test_a_word_that_is_no_way_to_weigh():
    with pytest.raises(TypeError, match='each must be "balanced", or weights by class'):
        class_weights([0, 1], "balance")
