"""Other ways to train the main network of the sawtooth study: what jaxland is compared with.

The network is 1-5-5-5-5-5-1 ReLU with 320 points, float32 (no product is TF32), gradient descent with momentum. Each
function compiles and warms up, and returns a `Timed` that reports net-steps (optimizer steps of one network) per second
on every core, or on the GPU where JAX computes on one and PyTorch is asked to.
"""

import gc
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxland.bench.timing import Timed, on_threads
from jaxland.networks import mlp
from jaxland.problems import sawtooth
from jaxland.training import available_threads, local_platform, starting_points

NETWORK = mlp([1, 5, 5, 5, 5, 5, 1])
PROBLEM = sawtooth()
OPTIMIZER = optax.sgd(0.01, momentum=0.9)


def loop_over_seeds(steps: int = 300) -> Timed:
    """One network at a time, one jit-compiled step a call: what a first script does."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    @jax.jit
    @jax.default_matmul_precision("highest")
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

    return on_threads(work, _jax_threads())


def obvious_vmap(width: int = 64, steps: int = 200) -> Timed:
    """vmap over seeds of the textbook network, points on rows: h @ w."""
    x, y = jnp.asarray(PROBLEM.x, jnp.float32), jnp.asarray(PROBLEM.y, jnp.float32)

    def apply(params):
        h = x
        for index, layer in enumerate(params):
            h = h @ layer.weight.T + layer.bias
            h = jax.nn.relu(h) if index < len(params) - 1 else h
        return h

    @jax.default_matmul_precision("highest")
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

    return on_threads(work, _jax_threads())


def _jax_threads() -> int:
    """Programs that run side by side: one fills a GPU."""
    return available_threads() if local_platform() == "cpu" else 1


def torch_func(width: int = 64, steps: int = 10, device: str = "cpu") -> Timed:
    """PyTorch: torch.func.vmap of grad, points on rows; threads are PyTorch's own.

    Args:
        width: networks trained together.
        steps: of a measurement.
        device: `"cpu"`, or `"cuda"`, where steps are replayed from a CUDA graph.
    """
    torch, x, y = _torch(device)

    def loss(weights):
        h = x
        for index, (weight, bias) in enumerate(weights):
            h = h @ weight.T + bias
            h = torch.relu(h) if index < len(weights) - 1 else h
        return ((h - y) ** 2).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    weights = _torch_weights(torch, width, device)
    velocity = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in weights]

    def step():
        for pair, speeds, slopes in zip(weights, velocity, gradient(weights), strict=True):
            for weight, speed, slope in zip(pair, speeds, slopes, strict=True):
                speed.mul_(0.9).add_(slope)
                weight.sub_(speed, alpha=0.01)

    return _torch_timed(torch, step, width * steps, steps, device)


def torch_stacked(width: int = 64, steps: int = 40, device: str = "cpu") -> Timed:
    """PyTorch: stacked weights, baddbmm with points on the minor axis, one backward for the sum of all losses.

    Args:
        width: networks trained together.
        steps: of a measurement.
        device: `"cpu"`, or `"cuda"`, where steps are replayed from a CUDA graph.
    """
    torch, x, y = _torch(device)
    x, y = x.T.expand(width, 1, -1), y.T
    weights = [part.requires_grad_() for layer in _torch_weights(torch, width, device) for part in layer]
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)

    def step():
        h = x
        for index in range(0, len(weights), 2):
            h = torch.baddbmm(weights[index + 1].unsqueeze(-1), weights[index], h)
            h = torch.relu(h) if index < len(weights) - 2 else h
        optimizer.zero_grad(set_to_none=True)
        ((h - y) ** 2).mean(dim=(1, 2)).sum().backward()
        optimizer.step()

    return _torch_timed(torch, step, width * steps, steps, device)


def _torch(device):
    import torch  # pyright: ignore[reportMissingImports]

    return torch, *(torch.tensor(data, dtype=torch.float32, device=device) for data in (PROBLEM.x, PROBLEM.y))


def _torch_weights(torch, width, device):
    vectors = starting_points(NETWORK, width)
    layers = jax.vmap(NETWORK.unflatten)(vectors)
    return [tuple(torch.tensor(np.array(part), device=device) for part in layer) for layer in layers]


def _torch_timed(torch, step: Callable[[], None], net_steps: int, steps: int, device: str) -> Timed:
    """A step changes its tensors in place, so that a CUDA graph of one can be replayed."""
    once = step if device == "cpu" else _captured(torch, step)

    def work():
        for _ in range(steps):
            once()
        if device != "cpu":
            torch.cuda.synchronize()
        return net_steps

    return on_threads(work, 1)


def _captured(torch, step: Callable[[], None]) -> Callable[[], None]:
    """Replays a CUDA graph of a step, recorded after a few steps on a stream of their own, as PyTorch asks."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    # Memory that is freed while a graph is recorded, by anybody, spoils it.
    gc.collect()
    gc.disable()
    try:
        with torch.cuda.graph(graph):
            step()
    finally:
        gc.enable()
    return graph.replay


PEERS: dict[str, Callable[[], Timed]] = {
    "JAX, a loop over seeds": loop_over_seeds,
    "JAX, the obvious vmap (h @ w)": obvious_vmap,
    "PyTorch, torch.func vmap": torch_func,
    "PyTorch, stacked baddbmm": torch_stacked,
}
"""Those of PyTorch raise ImportError where it is not installed (`pip install torch`)."""

# As many networks as fill a GPU; PyTorch's steps are replayed from a CUDA graph.
_GPU_WIDTH = 8192
GPU_PEERS: dict[str, Callable[[], Timed]] = {
    "JAX, a loop over seeds": loop_over_seeds,
    "JAX, the obvious vmap (h @ w)": partial(obvious_vmap, _GPU_WIDTH, 20),
    "PyTorch, torch.func vmap, CUDA graph": partial(torch_func, _GPU_WIDTH, 20, "cuda"),
    "PyTorch, stacked baddbmm, CUDA graph": partial(torch_stacked, _GPU_WIDTH, 20, "cuda"),
}
"""The same on a GPU."""
