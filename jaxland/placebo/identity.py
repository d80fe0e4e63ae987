"""What the parts of a placebo test depend on."""

import hashlib
import json

import numpy as np

from jaxland.placebo.design import Design
from jaxland.training import Trainer, fingerprint, versions


def identity(design: Design, trainer: Trainer) -> str:
    """16 hexadecimal digits that differ wherever a fit might.

    The number of permutations is no part of it for a single problem, so that a test can be given more of them later.
    """
    digest = hashlib.sha256()
    facts = [trainer.name, trainer.settings, versions(), design.starts, callable(design.labels)]
    if len(design.problems) > 1:
        facts += [len(design.problems), design.permutations]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(fingerprint(design.ensemble(0, design.starts)).encode())
    # A function that draws labels is known by what it draws.
    for problem in range(len(design.problems)):
        digest.update(np.ascontiguousarray(design.labelling(problem, 1), np.float64).tobytes())
    for values in (each for held in (*design.problems, *design.held_out) for each in (held.x, held.y)):
        digest.update(f"{values.shape}".encode() + np.ascontiguousarray(values, np.float64).tobytes())
    if design.groups is not None:
        digest.update(np.unique(design.groups, return_inverse=True)[1].astype(np.int64).tobytes())
    return digest.hexdigest()[:16]
