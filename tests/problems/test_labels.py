"""Labels as people have them, against scikit-learn's encoders."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import LabelEncoder, OneHotEncoder

from jaxland.problems import Loss, Problem, class_numbers, one_hot

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
