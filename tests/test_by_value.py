"""Pickles of what has no name: they hold each thing once, however often it occurs."""

import pickle

from jaxland._by_value import ByValue, pickled


class Node:
    """Holds one thing twice, and is pickled as ensembles are."""

    def __init__(self, held, function=None):
        self.both, self.function = (held, held), function

    def __getstate__(self):
        return ByValue(vars(self), "it cannot be pickled", "Do without")

    def __setstate__(self, state):
        vars(self).update(state)


def depth_of(node):
    return 0 if node is None else 1 + depth_of(node.both[1])


def chain(depth, function=None):
    node = None
    for _ in range(depth):
        node = Node(node, function)
    return node


def test_what_is_held_twice_is_pickled_once():
    content = pickle.dumps(chain(40))
    assert len(content) < 10_000  # a pickle in a pickle for each would take 2**40 of them
    again = pickle.loads(content)
    assert depth_of(again) == 40
    assert again.both[0] is again.both[1]


def test_functions_without_a_name_go_along(monkeypatch):
    factor = 3
    content = pickled(chain(40, lambda x: factor * x), "it cannot be pickled", "Do without")
    assert len(content) < 20_000
    assert pickle.loads(content).both[0].function(2) == 6
    assert pickle.loads(pickle.dumps(chain(3, lambda x: factor * x))).function(2) == 6
