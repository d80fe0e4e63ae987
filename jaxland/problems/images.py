"""Images of digits as classification problems: IDX files, the format of MNIST, and scikit-learn's bundled digits."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland._short import in_short
from jaxland.problems.losses import Loss
from jaxland.problems.problem import Problem

_GZIP = b"\x1f\x8b"
# The third byte of an IDX file; numbers are big-endian.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Of scikit-learn's digits: pixels count the dark ones among 4 x 4 of a scan, and a picture has 8 x 8 of them.
_DIGITS_SIDE, _DIGITS_WHITE = 8, 16


class Images(NamedTuple):
    """Pictures with their classes."""

    pixels: Float[np.ndarray, "N D"]
    """Rows of pixels one after another, from 0 to 1."""
    labels: Int[np.ndarray, "N"]
    name: str
    classes: int = 10

    __repr__ = in_short

    @property
    def one_hot(self) -> Float[np.ndarray, "N O"]:
        """1 in the column of a picture's class, 0 elsewhere."""
        return np.eye(self.classes)[self.labels]

    def take(self, samples: int) -> "Images":
        """The first so many pictures.

        Raises:
            ValueError: there are not so many.
        """
        if not 1 <= samples <= len(self.labels):
            raise ValueError(f"{self.name} has {len(self.labels):,} pictures; {samples:,} were asked for.")
        return self._replace(pixels=self.pixels[:samples], labels=self.labels[:samples])

    def problem(self, loss: Loss | str = "mean_sum_squared_error") -> Problem:
        """Pixels to one-hot classes; by default the mean over pictures of the squared errors summed over classes."""
        return Problem(self.pixels, self.one_hot, loss=loss, name=self.name)


def digits(side: int = 8) -> Images:
    """The 1,797 handwritten digits that come with scikit-learn: 8 x 8 pixels, from 43 people.

    Args:
        side: of the pictures in pixels. Above 8 each pixel becomes a square of as many as fit, in a margin of zeros:
            28 gives pictures of the size, and the margin, of MNIST.

    Raises:
        ValueError: the side is below 8.

    References:
        Alpaydin and Kaynak, Optical recognition of handwritten digits, UCI Machine Learning Repository (1998).
    """
    if side < _DIGITS_SIDE:
        raise ValueError(f"the digits have {_DIGITS_SIDE} pixels a side; got side={side}.")
    from sklearn.datasets import load_digits

    bundled: Any = load_digits()
    pictures = bundled.images / _DIGITS_WHITE
    factor, margin = divmod(side, _DIGITS_SIDE)
    around = (0, 0), (margin // 2, margin - margin // 2), (margin // 2, margin - margin // 2)
    pictures = np.pad(pictures.repeat(factor, axis=1).repeat(factor, axis=2), around)
    name = "digits" if side == _DIGITS_SIDE else f"digits enlarged to {side} x {side}"
    return Images(pictures.reshape(len(pictures), -1), bundled.target.astype(np.int64), name)


def idx_images(images: Path | str, labels: Path | str, samples: int | None = None) -> Images:
    """Pictures and classes from two IDX files, such as those of MNIST; gzipped or not.

    Args:
        images: such as train-images-idx3-ubyte.gz; bytes from 0 to 255 become 0 to 1.
        labels: such as train-labels-idx1-ubyte.gz.
        samples: take the first so many; all by default.

    Raises:
        ValueError: a file cannot be read, is not whole, or they do not belong together.
    """
    pictures, classes = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or classes.ndim != 1 or pictures.dtype != np.uint8:
        raise ValueError(
            f"images need three axes of bytes and labels one; {images} has shape {pictures.shape} of {pictures.dtype} "
            f"and {labels} has shape {classes.shape}. Were they exchanged?"
        )
    if len(pictures) != len(classes):
        raise ValueError(f"{images} has {len(pictures):,} pictures, but {labels} has {len(classes):,} labels.")
    if classes.dtype.kind not in "iu" or not len(classes) or classes.min() < 0:
        raise ValueError(f"{labels} must hold at least one class, counted from 0; it holds {classes.dtype}.")
    count = len(classes) if samples is None else min(samples, len(classes))
    kinds = max(10, int(classes.max()) + 1)
    whole = Images(np.empty((len(classes), 0)), classes.astype(np.int64), Path(images).name, kinds)
    first = whole if samples is None else whole.take(samples)
    return first._replace(pixels=pictures[:count].reshape(count, -1) / 255.0)


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file: two zeros, type, number of axes, the length of each, and the numbers.

    Args:
        path: the file, gzipped or not whatever its name.

    Raises:
        ValueError: it cannot be read, is none, or is shorter or longer than it says.

    References:
        LeCun, Cortes, Burges, The MNIST database of handwritten digits, "File formats".
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise ValueError(f"{path} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}.")
    dtype, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise ValueError(f"{path} ends within its header of {start} bytes.")
    shape = struct.unpack(f">{axes}I", content[4:start])
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) - start != expected:
        raise ValueError(
            f"{path} says shape {shape} of {dtype.name}, {expected:,} bytes, but holds {len(content) - start:,}; "
            "it is damaged or was not loaded whole."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _content(path) -> bytes:
    try:
        content = Path(path).read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is a damaged gzip file: {error}.") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}.") from error
