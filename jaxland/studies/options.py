"""How and where a study is run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """How and where, not what: none of these changes a fit but for rounding."""

    fits: int | None = None
    """Fits of each ensemble; the study's quick scale by default. A directory can be given more later."""
    shard_fits: int | None = None
    """Fits of a shard, the unit of work and of what an interruption can lose."""
    threads: int | None = None
    """Groups of fits trained at a time; all processors by default."""
    backend: str = "auto"
    """How fits are trained: auto, lanes, xla, cuda or tpu."""
    compress: bool | None = None
    """Whether points between the kinks of a piecewise linear network are taken together; by default where faster."""
    shard_timeout: float | None = None
    """Seconds after which the process of a shard is ended and the shard tried again; none by default."""

    def __post_init__(self):
        for name in ("fits", "shard_fits", "threads"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__") or value < 1):
                raise ValueError(f"{name} must be a positive integer; got {value!r}.")
        if self.shard_timeout is not None and not self.shard_timeout > 0:
            raise ValueError(f"shard_timeout must be a positive number of seconds; got {self.shard_timeout!r}.")
