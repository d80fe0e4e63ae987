"""Other ways to train the main network of the sawtooth study: what jaxland is compared with.

The network is 1-5-5-5-5-5-1 ReLU with 320 points, float32, gradient descent with momentum. Each function compiles and
warms up, and returns a `Timed` that reports net-steps (optimizer steps of one network) per second on every core.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxland.bench.timing import Timed, on_threads
from jaxland.networks import mlp
from jaxland.problems import sawtooth
from jaxland.training import available_threads, draw_parameters

NETWORK = mlp([1, 5, 5, 5, 5, 5, 1])
PROBLEM = sawtooth()
OPTIMIZER = optax.sgd(0.01, momentum=0.9)


def loop_over_seeds(steps: int = 300) -> Timed:
    """One network at a time, one jit-compiled step a call: what a first script does."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    @jax.jit
    def step(params, state):
        gradient = jax.grad(lambda p: jnp.mean((NETWORK.apply(p, x) - y) ** 2))(params)
        updates, state = OPTIMIZER.update(gradient, state)
        return optax.apply_updates(params, updates), state

    start = NETWORK.init(jax.random.key(0))
    step(start, OPTIMIZER.init(start))

    def work():
        params, state = start, OPTIMIZER.init(start)
        for _ in range(steps):
            params, state = step(params, state)
        jax.block_until_ready(params)
        return steps

    return on_threads(work, available_threads())


def obvious_vmap(width: int = 64, steps: int = 200) -> Timed:
    """vmap over seeds of the textbook network, points on rows: h @ w."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    def apply(params):
        h = x
        for index, layer in enumerate(params):
            h = h @ layer.weight.T + layer.bias
            h = jax.nn.relu(h) if index < len(params) - 1 else h
        return h

    def step(carry, _):
        params, state = carry
        gradient = jax.grad(lambda p: jnp.mean((apply(p) - y) ** 2))(params)
        updates, state = OPTIMIZER.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    params = jax.vmap(NETWORK.init)(jax.random.split(jax.random.key(0), width))
    program = jax.jit(jax.vmap(lambda p: jax.lax.scan(step, (p, OPTIMIZER.init(p)), None, length=steps)[0]))
    jax.block_until_ready(program(params))

    def work():
        jax.block_until_ready(program(params))
        return width * steps

    return on_threads(work, available_threads())


def torch_func(width: int = 64, steps: int = 10) -> Timed:
    """PyTorch: torch.func.vmap of grad, points on rows; threads are PyTorch's own."""
    import torch  # pyright: ignore[reportMissingImports]

    x, y = torch.tensor(PROBLEM.x, dtype=torch.float32), torch.tensor(PROBLEM.y, dtype=torch.float32)

    def loss(weights):
        h = x
        for index, (weight, bias) in enumerate(weights):
            h = h @ weight.T + bias
            h = torch.relu(h) if index < len(weights) - 1 else h
        return ((h - y) ** 2).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    weights = _torch_weights(torch, width)

    def work():
        params = weights
        velocity = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in params]
        for _ in range(steps):
            grads = gradient(params)
            velocity = [(g + 0.9 * v, c + 0.9 * u) for (g, c), (v, u) in zip(grads, velocity, strict=True)]
            params = [(w - 0.01 * v, b - 0.01 * u) for (w, b), (v, u) in zip(params, velocity, strict=True)]
        return width * steps

    return on_threads(work, 1)


def torch_stacked(width: int = 64, steps: int = 40) -> Timed:
    """PyTorch: stacked weights, baddbmm with points on the minor axis, one backward for the sum of all losses."""
    import torch  # pyright: ignore[reportMissingImports]

    x = torch.tensor(PROBLEM.x.T, dtype=torch.float32).expand(width, 1, -1)
    y = torch.tensor(PROBLEM.y.T, dtype=torch.float32)
    weights = [part.clone().requires_grad_() for layer in _torch_weights(torch, width) for part in layer]

    def work():
        optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
        for _ in range(steps):
            h = x
            for index in range(0, len(weights), 2):
                h = torch.baddbmm(weights[index + 1].unsqueeze(-1), weights[index], h)
                h = torch.relu(h) if index < len(weights) - 2 else h
            optimizer.zero_grad(set_to_none=True)
            ((h - y) ** 2).mean(dim=(1, 2)).sum().backward()
            optimizer.step()
        return width * steps

    return on_threads(work, 1)


def _torch_weights(torch, width):
    vectors = draw_parameters(NETWORK, 0, np.arange(width))
    layers = jax.vmap(NETWORK.unflatten)(vectors)
    return [tuple(torch.tensor(np.array(part)) for part in layer) for layer in layers]


PEERS: dict[str, Callable[[], Timed]] = {
    "JAX, a loop over seeds": loop_over_seeds,
    "JAX, the obvious vmap (h @ w)": obvious_vmap,
    "PyTorch, torch.func vmap": torch_func,
    "PyTorch, stacked baddbmm": torch_stacked,
}
"""Those of PyTorch raise ImportError where it is not installed (`pip install 'jaxland[compare]'`)."""
