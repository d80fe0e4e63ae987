"""Types used in annotations throughout."""

import numpy as np
from jaxtyping import Array

# JAX takes NumPy arrays wherever it takes its own.
AnyArray = Array | np.ndarray
