"""Results compared bit by bit."""


def same_bits(one, other):
    """Of two `GroupResult`, or of two lists of arrays."""
    for name, a, b in zip(getattr(one, "_fields", range(len(one))), one, other, strict=True):
        assert a.tobytes() == b.tobytes(), name
