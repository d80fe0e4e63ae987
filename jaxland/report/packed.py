"""Numbers as a page carries them: JSON, compressed, as text."""

import base64
import gzip
import json
from collections.abc import Iterable
from typing import Any

import numpy as np


def numbers(values: Iterable[float], digits: int = 6) -> list[float | None]:
    """Numbers to some digits, None for those that are not finite: JSON has no name for them."""
    return [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in values]


def coarse(values: np.ndarray) -> np.ndarray:
    """Numbers in float32 to one part in four thousand, finer than a chart shows: the other bits take room."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    rounded = ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view("<f4")
    return np.where(np.isfinite(rounded) & np.isfinite(values), rounded, np.asarray(values, "<f4"))


def array(values: np.ndarray, kind: str) -> str:
    """The bytes of an array, the last axis fastest, in base 64.

    Args:
        values: of any shape.
        kind: how each number is kept, such as `"<f4"`.
    """
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def weight(values: Any) -> int:
    """How many characters of the page values take by themselves."""
    return len(packed(values))


def packed(values: Any) -> str:
    """JSON-able values, compressed, in base 64; the same text for the same values."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()
