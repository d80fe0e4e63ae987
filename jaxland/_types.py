"""Types used in annotations throughout."""

from typing import TYPE_CHECKING, Any

import numpy as np

# JAX takes NumPy arrays wherever it takes its own. What these types annotate can be imported without it.
if TYPE_CHECKING:
    from jaxtyping import Array

    AnyArray = Array | np.ndarray
else:
    Array = AnyArray = Any
