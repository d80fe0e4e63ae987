"""What a placebo test trains: every fit of it, from its number alone."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import optax
from jaxtyping import Float, Int

from jaxland._short import in_short
from jaxland.networks import Network
from jaxland.placebo.labels import Labels, distinct_labellings, random_order
from jaxland.problems import Problem
from jaxland.training import Ensemble, starting_points


@dataclass(frozen=True, eq=False)
class Design:
    """The fits of placebo tests of one or several problems of equal shape.

    Labelling 0 of a problem is the real one, the others are placebos. Each is trained from the same initial parameters,
    one fit a start. Fits are numbered problem by problem, labelling by labelling, start by start. A labelling is a
    function of the seed, the problem's place and its own number.

    Attributes:
        network: what is trained.
        problems: each with its real labels.
        held_out: points not trained on, one set a problem; empty where there are none.
        optimizer: an optax transformation.
        steps: of each fit.
        permutations: M, how many placebos.
        starts: R, fits of each labelling.
        labels: `"permuted"`, or a function that draws placebo labels.
        groups: the group (N,) of each point, within which labels are permuted.
        seed: of initial parameters and labels.
        dtype: of training.
        batch_size: points of a step, all by default. Start r takes the same batches with each labelling.

    Raises:
        TypeError, ValueError: a field out of range, naming the field, the value and the remedy.
    """

    network: Network
    problems: tuple[Problem, ...]
    held_out: tuple[Problem, ...]
    optimizer: optax.GradientTransformation
    steps: int
    permutations: int
    starts: int = 1
    labels: Labels = "permuted"
    groups: np.ndarray | None = None
    seed: int = 0
    dtype: str = "float32"
    batch_size: int | None = None

    __repr__ = in_short

    def __post_init__(self):
        for name in ("permutations", "starts"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer; got {value!r}.")
        if not self.problems:
            raise ValueError("there is no problem to test.")
        self._check_problems()
        _ = self._plain
        if self.fits > 2**32:
            raise ValueError(f"{self.fits:,} fits are more than can be numbered; ask for fewer permutations or starts.")
        self._check_labels()

    def _check_problems(self):
        if self.held_out and len(self.held_out) != len(self.problems):
            raise ValueError(f"held_out must have one set a problem; got {len(self.held_out)}.")
        for name, problems in (("problems", self.problems), ("held_out", self.held_out)):
            shapes = {(problem.x.shape, problem.y.shape) for problem in problems}
            if len(shapes) > 1:
                raise ValueError(f"all {name} must have the same shapes; got {sorted(shapes)}.")
        if len({problem.loss for problem in self.problems}) > 1:
            raise ValueError("all problems must have the same loss.")
        if self.held_out:
            trained, held = self.problems[0], self.held_out[0]
            for name in ("x", "y"):
                components = [getattr(each, name).shape[1] for each in (trained, held)]
                if components[0] != components[1]:
                    raise ValueError(f"{name} has {components[0]} components, but held out {components[1]}.")

    def _check_labels(self):
        points = len(self.problems[0].x)
        if self.groups is not None and np.shape(self.groups) != (points,):
            raise ValueError(f"groups must name the group of each of the {points} points; got {np.shape(self.groups)}.")
        if callable(self.labels):
            drawn = np.asarray(self.labelling(0, 1))
            if drawn.shape != self.problems[0].y.shape or not np.isfinite(drawn).all():
                raise ValueError(
                    f"labels must return finite labels of shape {self.problems[0].y.shape}; got shape {drawn.shape}."
                )
        elif self.labels != "permuted":
            raise ValueError(f"labels must be 'permuted' or a function that draws them; got {self.labels!r}.")
        elif any(distinct_labellings(problem.y, self.groups) < 2 for problem in self.problems):
            raise ValueError("no permutation changes the labels: they are all equal, or equal within each group.")

    @cached_property
    def _plain(self) -> Ensemble:
        """The ensemble without labellings: it checks what all of them share."""
        return Ensemble(
            network=self.network,
            problem=self.problems[0],
            optimizer=self.optimizer,
            steps=self.steps,
            seed=self.seed,
            dtype=self.dtype,
            batch_size=self.batch_size,
        )

    @property
    def labellings(self) -> int:
        """L: the real one and the placebos."""
        return self.permutations + 1

    @property
    def fits(self) -> int:
        """How many fits there are."""
        return len(self.problems) * self.labellings * self.starts

    @cached_property
    def initial(self) -> Float[np.ndarray, "R P"]:
        """The initial parameters of each start, the same for all labellings."""
        return starting_points(self.network, self.starts, seed=self.seed)

    def labelling(self, problem: int, number: int) -> Float[np.ndarray, "N O"]:
        """The labels of one labelling; number 0 is the real one."""
        y = self.problems[problem].y
        if number == 0:
            return y
        random = np.random.default_rng([self.seed, problem, number])
        if callable(self.labels):
            return self.labels(random, y)
        return y[random_order(random, len(y), self.groups)]

    def places(self, fits: Int[np.ndarray, "F"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The problem, the labelling and the start of each fit."""
        if len(self.problems) == 1:  # the only one whose fits are numbered alike with more placebos
            labelling, start = np.divmod(fits, self.starts)
            return np.zeros_like(labelling), labelling, start
        # Numbers beyond the last only pad a group.
        labelling, start = np.divmod(np.minimum(fits, self.fits - 1), self.starts)
        return *np.divmod(labelling, self.labellings), start

    @cached_property
    def ensemble(self) -> Ensemble:
        """All fits. Of a single problem it is the same for any number of placebos."""
        inputs = None if len(self.problems) == 1 else self._inputs
        seeds = None if self.batch_size is None else self._seeds
        return replace(self._plain, start=self._start, targets=self._targets, inputs=inputs, seeds=seeds)

    def _seeds(self, fits: Int[np.ndarray, "F"]) -> Int[np.ndarray, "F"]:
        return self.places(fits)[2]

    def _start(self, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F P"]:
        return self.initial[self.places(fits)[2]]

    def _inputs(self, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F N D"]:
        return np.stack([self.problems[each].x for each in self.places(fits)[0]])

    def _targets(self, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F N O"]:
        problem, labelling, _ = self.places(fits)
        places = list(zip(problem.tolist(), labelling.tolist(), strict=True))
        drawn = {place: self.labelling(*place) for place in set(places)}
        return np.stack([drawn[place] for place in places])

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that differ where designs do whose first fits may be the same.

        The number of permutations is no part of it for a single problem, so that a test can be given more of them.
        """
        several = len(self.problems) > 1
        facts = [self.starts, callable(self.labels), self.permutations if several else None, len(self.problems)]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for values in (each for data in (*self.problems, *self.held_out) for each in (data.x, data.y)):
            digest.update(f"{values.shape}".encode() + np.ascontiguousarray(values, np.float64).tobytes())
        # A function that draws labels is known by what it draws.
        for problem in range(len(self.problems)):
            digest.update(np.ascontiguousarray(self.labelling(problem, 1), np.float64).tobytes())
        if self.groups is not None:
            digest.update(np.unique(self.groups, return_inverse=True)[1].astype(np.int64).tobytes())
        return digest.hexdigest()[:16]
