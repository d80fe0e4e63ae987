"""Generates programs by the thousand and names those that the fused backends compute wrongly.

python tests/training/programs/run.py --programs 20000 --seed 0

A share of them, or with `--backend trainers` all, is trained with batches, weights, validation and the like by lanes
and by xla.
"""

import argparse
import gc
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.programs.check import Lowered, Plain, Training, Verdict, check
from training.programs.features import check_whole
from training.programs.generator import Program, generate, shrink
from training.programs.trainers import compiled, emulated, looped, on_tpu

Check = partial[Verdict]
_KEPT_TRACES = 250
_BACKENDS = ("mixed", "lines", "lanes", "loops", "cuda", "tpu", "trainers")


def verdict_on(program: Program, check: Check) -> Verdict:
    """That of a check, where an exception of any kind but a refusal is a fault."""
    try:
        return check(program)
    except Exception:
        return Verdict("fails", traceback.format_exc())


def failures(seeds: range, way: Callable[[int], Check], counts: Counter[str]) -> Iterator[str]:
    """The text and the reason of each program that fails, made short.

    Args:
        seeds: of the programs.
        way: how the program of a seed is trained and compared, in which dtype.
        counts: to which the kinds of all verdicts are added, and the reasons of refusals.
    """
    for number, seed in enumerate(seeds, 1):
        if number % _KEPT_TRACES == 0:
            jax.clear_caches()
        check, program = way(seed), generate(seed)
        verdict = verdict_on(program, check)
        counts[verdict.kind] += 1
        if verdict.kind == "refused":
            counts[f"refused: {verdict.reason}"] += 1
        if verdict.kind == "rough":
            counts[f"rough: seed {seed}, {verdict.reason}"] += 1
        if verdict.kind == "fails":
            yield _shortest(program, check)


def _shortest(program, check):
    shorter = shrink(program, lambda other: verdict_on(other, check).kind == "fails")
    return f"{shorter.text}\n# {check.keywords['dtype']}: {verdict_on(shorter, check).reason}\n"


def slope_failures(seeds: range) -> Iterator[str]:
    """The programs whose gradient is not that of their NumPy text."""
    for seed in seeds:
        program = generate(seed)
        doubt = Plain(program, "float64").slope_doubt()
        if doubt is not None:
            yield f"{program.text}\n# {doubt}\n"


def by(train: Callable[[Lowered], Training] | None, dtype: str) -> Check:
    """What compares a program of this dtype that is trained so; in NumPy, line by line, by None."""
    return partial(check, dtype=dtype, train=train)


def _ways(backend: str, folder: Path) -> Callable[[int], Check]:
    dtypes = ("float64", "float64", "float32")
    if backend == "trainers":
        return lambda seed: partial(check_whole, dtype=dtypes[seed % 3])
    if backend == "mixed":
        whole, others = _ways("trainers", folder), (None, compiled)
        return lambda seed: whole(seed) if seed % 5 == 4 else by(others[seed % 2], dtypes[seed % 3])
    if backend == "tpu":
        return lambda seed: by(on_tpu, "float32")
    train = {"lines": None, "lanes": compiled, "loops": looped, "cuda": emulated(folder, 8)}[backend]
    return lambda seed: by(train, dtypes[seed % 3])


def main() -> int:
    """Runs what the command line asks for; returns 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--backend", choices=_BACKENDS, default="mixed")
    chosen = parser.parse_args()
    warnings.simplefilter("error")
    # A tenth of the time: what JAX makes for a program is gone soon, all else stays.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    counts: Counter[str] = Counter()
    seeds, began = range(chosen.seed, chosen.seed + chosen.programs), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for text in failures(seeds, _ways(chosen.backend, Path(folder)), counts):
            print(text, flush=True)
    for kind, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        print(f"{count:6d} {kind}")
    print(f"{chosen.programs} programs from seed {chosen.seed}, {time.monotonic() - began:.0f} s")
    return int(counts["fails"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
