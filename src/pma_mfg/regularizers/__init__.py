"""Strongly concave regularizers h of a policy's action distribution (docs/theory.md, section 2).

Every method works on the last axis, the actions, and row by row: arrays of shape (..., A) in, (..., A) or (...,) out.
The two maps of interest are

    best_response(q)              = argmax_u <u, q> + h(u),
    proximal_step(q, policy, eta) = argmax_u <u, q> + h(u) - D(u, policy) / eta,

both over the simplex, or over U = {u : h(u) >= floor} when a floor is given. D is the divergence of the mirror map:
||u - policy||_2^2 / 2 (`euclidean`, the paper's) or sum_a u_a log(u_a / policy_a) (`kl`). Cost: a few dozen elementwise
operations. One idea each: `protocol` (what a regularizer is), `kinds` (the entropy and the quadratic), `floors` (the
constraint), `weighted` (steps of any class), `files` (classes of users' own).
"""

from __future__ import annotations

from pma_mfg.regularizers.files import load, name_of
from pma_mfg.regularizers.kinds import Entropy, Quadratic, kind, make
from pma_mfg.regularizers.protocol import MIRRORS, Mirror, Regularizer
from pma_mfg.regularizers.weighted import Weighted, step, with_strength

__all__ = [
    "MIRRORS",
    "Entropy",
    "Mirror",
    "Quadratic",
    "Regularizer",
    "Weighted",
    "kind",
    "load",
    "make",
    "name_of",
    "step",
    "with_strength",
]
