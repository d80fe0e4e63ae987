"""A study is opened, and says what it can, without anything that computes."""

import subprocess
import sys

import pytest

from jaxland.studies import STUDIES

HEAVY = {"jax", "optax", "scipy", "matplotlib", "pandas", "sklearn"}
OPEN = """
import sys
from importlib.metadata import entry_points

(point,) = entry_points(group="jaxland.studies", name={name!r})
study = point.load()
study.config()
from jaxland.studies import titles_of
assert list(titles_of(study.analyses)) == list(study.analyses)
print(*sys.modules)
"""


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_a_study_is_opened_without_what_computes(name):
    code = OPEN.format(name=name)
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(HEAVY & set(loaded)) == []
