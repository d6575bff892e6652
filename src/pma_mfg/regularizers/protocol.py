"""What every regularizer is: the members that the rest of the library calls."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

#: The mirror map of a proximal step, by the name of its divergence.
Mirror = Literal["euclidean", "kl"]

MIRRORS: tuple[Mirror, ...] = ("euclidean", "kl")


class Regularizer(Protocol):
    """What the operators need of a regularizer h(u) = sum_a phi(u_a), with one concave function phi for all actions.

    So h is largest at the uniform distribution, and its Hessian is diagonal; whatever is computed from a regularizer
    rests on that, and on `rho`, `span` and `gradient_span` being what they say (docs/theory.md, section 2.5). Besides
    `Entropy` and `Quadratic` any class with these members will do; `load` takes one from a file.
    """

    @property
    def strength(self) -> float:
        """The weight tau > 0, in proportion to which h grows."""

    @property
    def rho(self) -> float:
        """Modulus of strong concavity with respect to the Euclidean norm."""

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return the gradient of h, shape (..., A)."""

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return the diagonal of the negative Hessian of h, shape (..., A); infinite where u leaves the support."""

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min on the simplex."""

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return a bound on max_a - min_a of the gradient over {u : h(u) >= h_max - gap}."""

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u) over the simplex, shape (...,)."""

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return argmax_u <u, q> + h(u), shape (..., A); `step` asks no class but the two here for a floor."""

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Other classes than the two here need neither a floor nor, unless it is used, the KL mirror map.
        """


MEMBERS = sorted(name for name in vars(Regularizer) if not name.startswith("_"))
