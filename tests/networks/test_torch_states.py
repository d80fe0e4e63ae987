"""States of PyTorch's linear layers become networks and come back."""

import numpy as np
import pytest

from jaxland.landscape import outputs
from jaxland.networks import from_torch, mlp, to_torch

WIDTHS = (3, 5, 4, 2)


def state_of(names=("0", "2", "4"), fits=(), dtype: type = np.float32, seed=0):
    random, state = np.random.default_rng(seed), {}
    for name, inputs, units in zip(names, WIDTHS, WIDTHS[1:], strict=False):
        state[f"{name}.weight"] = random.normal(size=(*fits, units, inputs)).astype(dtype)
        state[f"{name}.bias"] = random.normal(size=(*fits, units)).astype(dtype)
    return state


def forward(state, x, names=("0", "2", "4")):
    """What nn.Sequential(Linear, Tanh, Linear, Tanh, Linear) says, by the formula of torch.nn.Linear: x A^T + b."""
    for name in names:
        x = x @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        x = np.tanh(x) if name != names[-1] else x
    return x


class Tensor:
    """Stands for a tensor that takes part in gradients and lies on another device, as far as we may ask it."""

    def __init__(self, values, steps=("detach", "cpu", "numpy"), error=None):
        self._values, self._steps, self._error = values, steps, error

    def _step(self, name):
        assert self._steps[0] == name, f"{name} before {self._steps[0]}"
        return Tensor(self._values, self._steps[1:], self._error)

    def detach(self):
        return self._step("detach")

    def cpu(self):
        return self._step("cpu")

    def numpy(self):
        self._step("numpy")
        if self._error:
            raise TypeError(self._error)
        return self._values

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.parametrize("wrap", [np.asarray, Tensor], ids=["arrays", "tensors"])
def test_a_state_becomes_a_network_that_says_the_same(wrap):
    state = state_of()
    network, vector = from_torch({name: wrap(values) for name, values in state.items()}, "tanh")
    assert network.spec.widths == WIDTHS
    assert vector.dtype == np.float32
    x = np.random.default_rng(1).normal(size=(9, 3))
    found = outputs(network, vector[None].astype(np.float64), x)[0]
    np.testing.assert_allclose(found, forward(state, x), rtol=1e-12)
    back = to_torch(network, vector)
    assert list(back) == list(state)
    for name, values in state.items():
        assert back[name].dtype == np.float32
        assert back[name].flags.writeable
        np.testing.assert_array_equal(back[name], values)


def test_stacked_states_become_an_ensemble():
    state = state_of(fits=(6,), dtype=np.float64)
    network, params = from_torch(state, "tanh")
    assert params.shape == (6, network.size)
    assert params.dtype == np.float64
    x = np.random.default_rng(1).normal(size=(9, 3))
    one_by_one = [forward({name: values[fit] for name, values in state.items()}, x) for fit in range(6)]
    np.testing.assert_allclose(outputs(network, params, x), one_by_one, rtol=1e-12)
    for name, values in to_torch(network, params).items():
        np.testing.assert_array_equal(values, state[name])


@pytest.mark.parametrize("names", [("fc1", "fc2", "fc3"), ("net.layers.0", "net.layers.9", "net.layers.10")])
def test_names_may_have_anything_in_common_and_stand_in_any_order(names):
    state = state_of(names)
    plain = from_torch(state_of(), "relu")[1]
    network, vector = from_torch(dict(sorted(state.items())), "relu")
    np.testing.assert_array_equal(vector, plain)
    back = to_torch(network, vector, names)
    assert back.keys() == state.keys()
    np.testing.assert_array_equal(back[f"{names[2]}.bias"], state[f"{names[2]}.bias"])


def test_layers_without_biases():
    state = {name: values for name, values in state_of().items() if name.endswith("weight")}
    network, vector = from_torch(state, "relu")
    assert network.size == 15 + 20 + 8
    assert to_torch(network, vector).keys() == state.keys()


def test_half_precision_is_widened():
    _, vector = from_torch(state_of(dtype=np.float16), "relu")
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(
        vector, np.concatenate([each.ravel() for each in state_of(dtype=np.float16).values()])
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1.running_mean": np.zeros(5)}, "'1.running_mean' is of no linear layer.*batch norm"),
        ({"out.weight": np.zeros((2, 4))}, "'out.weight' is of no linear layer"),
        ({"head.0.weight": np.zeros((2, 4))}, "names must differ in their numbers only"),
        ({"2.weight": np.zeros((4, 6))}, r"'2.weight' has shape \(4, 6\) and takes 6 inputs, but '0.weight' has 5"),
        ({"2.bias": np.zeros(5)}, r"'2.bias' has shape \(5,\); it must be \(4,\)"),
        ({"2.weight": np.zeros(4)}, r"'2.weight' has shape \(4,\); a linear layer has"),
        ({"0.weight": np.zeros((5, 3, 2, 2))}, r"'0.weight' has shape \(5, 3, 2, 2\); a linear layer has"),
        ({"2.weight": np.zeros((6, 4, 5))}, r"'2.weight' has shape \(6, 4, 5\); a linear layer has"),
        ({"6.bias": np.zeros(2)}, "there is no 6.weight"),
        ({"2.bias": None}, "there is no '2.bias', but others have one"),
        ({"0.bias": np.array(["a"] * 5)}, "entry '0.bias' must be real numbers; got text"),
        (
            {"0.bias": Tensor(None, error="Got unsupported ScalarType BFloat16")},
            r"'0.bias' .*BFloat16.*entry.float\(\)",
        ),
    ],
)
def test_what_is_no_chain_of_linear_layers_is_refused(change, message):
    state = {name: values for name, values in (state_of() | change).items() if values is not None}
    with pytest.raises(ValueError, match=message):
        from_torch(state, "relu")


def test_other_refusals():
    with pytest.raises(ValueError, match=r"there is no 0.weight; got no entries"):
        from_torch({}, "relu")
    with pytest.raises(ValueError, match=r"unknown activation 'rellu'. Did you mean 'relu'"):
        from_torch(state_of(), "rellu")
    network = mlp([1, 2, 1])
    with pytest.raises(ValueError, match=r"must have shape \(7,\) or \(fits, 7\)"):
        to_torch(network, np.zeros(6))
    with pytest.raises(ValueError, match=r"has 2 layers to be named, once each; got \['a', 'a'\]"):
        to_torch(network, np.zeros(7), ["a", "a"])
