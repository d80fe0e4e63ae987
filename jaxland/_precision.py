"""The number formats in which programs are run."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from jaxland._names import lookup

DTYPES = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}


def get_dtype(name: str) -> np.dtype:
    """Returns the dtype with this name.

    Raises:
        ValueError: it is neither float32 nor float64.
    """
    if not isinstance(name, str):
        name = name.name if isinstance(name, np.dtype) else getattr(name, "__name__", repr(name))
    return lookup("dtype", name, DTYPES)


@contextmanager
def numerics(dtype: np.dtype | str) -> Iterator[None]:
    """Full-precision arithmetic in `dtype`: 64-bit types where asked, and never TF32 or bfloat16 products.

    JAX keeps these settings a thread, so every thread that computes enters this context itself.
    """
    import jax  # here, so that names of dtypes are known without it

    with jax.enable_x64(np.dtype(dtype) == np.float64), jax.default_matmul_precision("highest"):
        yield
