"""Features of the mean field, phi_k(mu) = g_k(<w_k, mu> + b_k), with a link g_k from a short list.

Their values, derivatives, ranges and Lipschitz constants (docs/theory, sections 1 and 4); a game is a sum of tables
weighted by them (`games.model`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array

#: Names of the links g; a link's code, in arrays and in compiled code, is its place in this list. `log` is
#: log(x + parameter), `minimum` is min(1, x), `positive` is max(0, x), `power` is max(0, x) ** parameter, `floored_log`
#: is log(max(x, parameter)), `reciprocal` is 1 / (x + parameter), `exponential` is exp(x).
LINKS = (
    "identity",
    "absolute",
    "log",
    "minimum",
    "positive",
    "power",
    "floored_log",
    "reciprocal",
    "exponential",
)

#: The argument at which each link has its kink, nan for the links that have none.
KINKS = np.array([{"absolute": 0.0, "positive": 0.0, "minimum": 1.0, "power": 0.0}.get(link, np.nan) for link in LINKS])

#: Distance from a link's kink below which an argument counts as being on it. Equilibria are computed to some 1e-12.
KINK_WIDTH = 1e-9

#: A dense array (ndarray) or a sparse matrix (csr_array); each function's docstring gives the shape. Code that works
#: with dense arrays only calls `MeanFieldGame.dense` first.
Table = Any


@dataclass(frozen=True, eq=False)
class Features:
    """Features phi_k(mu) = g_k(<w_k, mu> + b_k) of a mean field, k = 0..K-1.

    Parameters
    ----------
    weights : ndarray or csr_array, shape (K, S)
    offsets : ndarray, shape (K,)
    links : ndarray of int, shape (K,)
        Indices into `LINKS`.
    parameters : ndarray, shape (K,)
        The link's parameter: the shift of `log` and `reciprocal`, the exponent of `power`, the floor of `floored_log`;
        ignored by the others.
    """

    weights: Table
    offsets: np.ndarray
    links: np.ndarray
    parameters: np.ndarray

    def __eq__(self, other: object) -> bool:
        return same_content(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    @classmethod
    def build(
        cls, weights: ArrayLike | csr_array, offsets: ArrayLike = 0.0, link: str = "identity", *, parameter: float = 0.0
    ) -> Features:
        """Return K features that share one link.

        Parameters
        ----------
        weights : array_like or csr_array, shape (K, S)
        offsets : array_like, shape (K,), or one number for all
        link : str
            One of `LINKS`.
        parameter : float
            Of the link, as `LINKS` says; 0 for links without one.

        Returns
        -------
        Features
        """
        rows: Table = weights if isinstance(weights, csr_array) else np.asarray(weights, dtype=float)
        count = rows.shape[0]
        return cls(
            rows,
            np.broadcast_to(np.asarray(offsets, dtype=float), (count,)).copy(),
            np.full(count, LINKS.index(link), dtype=np.int64),
            np.full(count, parameter, dtype=float),
        )

    @classmethod
    def none(cls, n_states: int) -> Features:
        """Return the empty family of features: nothing depends on the mean field."""
        return cls.build(np.zeros((0, n_states)))

    def select(self, k: int) -> Features:
        """Return the family that holds feature k alone."""
        return Features(*(getattr(self, name)[[k]] for name in self.__dataclass_fields__))

    def _by_link(self) -> Iterator[tuple[str, np.ndarray | slice]]:
        """Yield each link that occurs, and which features have it."""
        codes = set(self.links.tolist())
        for code in codes:
            yield LINKS[code], slice(None) if len(codes) == 1 else np.flatnonzero(self.links == code)

    def arguments(self, mean_field: np.ndarray) -> np.ndarray:
        """Return <w_k, mu> + b_k, shape (..., K), for mean fields of shape (..., S)."""
        return np.asarray(mean_field @ self.weights.T + self.offsets)

    def link_values(self, x: np.ndarray) -> np.ndarray:
        """Return g_k(x_k), shape (..., K), for arguments of shape (..., K)."""
        values = x.copy()
        for link, k in self._by_link():
            columns, parameters = x[..., k], self.parameters[k]
            match link:
                case "absolute":
                    values[..., k] = np.abs(columns)
                case "log":
                    with np.errstate(divide="ignore", invalid="ignore"):  # reported by MeanFieldGame.validate
                        values[..., k] = np.log(columns + parameters)
                case "minimum":
                    values[..., k] = np.minimum(1.0, columns)
                case "positive":
                    values[..., k] = np.maximum(0.0, columns)
                case "power":
                    values[..., k] = np.maximum(0.0, columns) ** parameters
                case "floored_log":
                    with np.errstate(divide="ignore", invalid="ignore"):  # of a floor of 0, reported as above
                        values[..., k] = np.log(np.maximum(columns, parameters))
                case "reciprocal":
                    with np.errstate(divide="ignore"):  # reported by MeanFieldGame.validate
                        values[..., k] = 1.0 / (columns + parameters)
                case "exponential":
                    with np.errstate(over="ignore"):  # reported as well
                        values[..., k] = np.exp(columns)
        return values

    def values(self, mean_field: np.ndarray) -> np.ndarray:
        """Return phi(mu), shape (..., K), for mean fields of shape (..., S)."""
        return self.link_values(self.arguments(mean_field))

    def kinks(self) -> np.ndarray:
        """Return the argument at which each link has its kink, shape (K,); nan for the links that have none.

        The floor of `floored_log` is a guard for states that nobody visits, and does not count.
        """
        return np.asarray(KINKS[self.links])

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether no argument lies on the kink of its link, at mu of shape (S,)."""
        return not (np.abs(self.arguments(mean_field) - self.kinks()) < KINK_WIDTH).any()

    def gradients(self, mean_field: np.ndarray) -> Table:
        """Return d phi_k / d mu(z), shape (K, S), at mu of shape (S,); at a kink, the mean of both sides.

        Sparse where the weights are.
        """
        x = self.arguments(mean_field)
        slopes = np.ones_like(x)
        for link, k in self._by_link():
            parameters = self.parameters[k]
            match link:
                case "absolute":
                    slopes[k] = _sides(x[k], 0.0)
                case "log":
                    slopes[k] = 1.0 / (x[k] + parameters)
                case "minimum":
                    slopes[k] = 0.5 * (1.0 - _sides(x[k], 1.0))
                case "positive":
                    slopes[k] = 0.5 * (1.0 + _sides(x[k], 0.0))
                case "power":
                    base = np.where(x[k] > 0.0, x[k], 1.0)
                    slopes[k] = np.where(x[k] > 0.0, parameters * base ** (parameters - 1.0), 0.0)
                case "floored_log":
                    slopes[k] = np.where(x[k] > parameters, 1.0 / np.maximum(x[k], parameters), 0.0)
                case "reciprocal":
                    slopes[k] = -((x[k] + parameters) ** -2.0)
                case "exponential":
                    slopes[k] = np.exp(x[k])
        if isinstance(self.weights, csr_array):
            return csr_array(self.weights.multiply(slopes[:, None]))
        return np.asarray(slopes[:, None] * self.weights)

    def argument_ranges(self, vertices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and the largest argument of each link over mean fields, two arrays of shape (K,).

        Over the whole simplex, or over the convex hull of `vertices`, shape (Z, S).
        """
        if vertices is not None:
            x = self.arguments(vertices)
            return x.min(axis=0), x.max(axis=0)
        if 0 in self.weights.shape:
            return self.offsets, self.offsets
        ends = (self.weights.min(axis=1), self.weights.max(axis=1))
        low, high = (to_dense(end) + self.offsets for end in ends)
        return low, high

    def ranges(self, vertices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and the largest value of each feature, each (K,); `vertices` as in `argument_ranges`."""
        low, high = self.argument_ranges(vertices)
        ends = np.sort(self.link_values(np.stack([low, high])), axis=0)  # every link but |x| is monotone
        straddles = (self.links == LINKS.index("absolute")) & (low < 0.0) & (high > 0.0)
        # next to its pole 1 / (x + b) takes all values beyond both ends
        pole = (self.links == LINKS.index("reciprocal")) & (low <= -self.parameters) & (high >= -self.parameters)
        return np.where(pole, -np.inf, np.where(straddles, 0.0, ends[0])), np.where(pole, np.inf, ends[1])

    def link_lipschitz(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """Return the Lipschitz constant of each link on the range of its argument (`argument_ranges`), shape (K,)."""
        low, high = self.argument_ranges(vertices)
        constants: np.ndarray = np.ones_like(low)
        for k, (link, parameter) in enumerate(zip(self.links, self.parameters, strict=True)):
            match LINKS[link]:
                case "log":
                    constants[k] = 1.0 / (low[k] + parameter)
                case "minimum":
                    constants[k] = float(low[k] < 1.0)
                case "positive":
                    constants[k] = float(high[k] > 0.0)
                case "power":  # concave below exponent 1 (steepest at the low end), convex above it
                    steepest = max(0.0, low[k] if parameter < 1.0 else high[k])
                    with np.errstate(divide="ignore"):
                        constants[k] = parameter * np.float64(steepest) ** (parameter - 1.0)
                case "floored_log":
                    constants[k] = float(high[k] > parameter) / max(low[k], parameter)
                case "reciprocal":  # on either side of the pole, steepest next to it
                    ends = low[k] + parameter, high[k] + parameter
                    nearest = 0.0 if ends[0] <= 0.0 <= ends[1] else min(map(abs, ends))
                    with np.errstate(divide="ignore"):
                        constants[k] = np.float64(nearest) ** -2.0
                case "exponential":
                    constants[k] = np.exp(high[k])
        return constants


def _sides(x: np.ndarray, kink: float) -> np.ndarray:
    """Return on which side of the kink arguments are, -1 or 1; 0 on it."""
    return np.where(np.abs(x - kink) < KINK_WIDTH, 0.0, np.sign(x - kink))


def own_state_terms(n_states: int, n_actions: int) -> np.ndarray:
    """Return the reward terms (S, S, A) with which S features, one for each state, give R(s,a,mu) = phi_s(mu)."""
    return np.repeat(np.eye(n_states)[:, :, None], n_actions, axis=2)


def autonomous(transition: np.ndarray) -> dict[str, Any]:
    """Return the keywords of a game whose transitions (S, A, S) do not depend on the mean field."""
    return {
        "base_transition": transition,
        "transition_terms": np.zeros((0, *transition.shape)),
        "transition_features": Features.none(len(transition)),
    }


def in_words(features: Features) -> str:
    """Return how features depend on the mean field, such as "affine in the mean field"."""
    curved = sorted({LINKS[link] for link in features.links if link})
    if curved:
        return f"through the links {', '.join(curved)}"
    return "affine in the mean field" if len(features.links) else "the same at every mean field"


def to_dense(table: Table) -> np.ndarray:
    """Return a sparse matrix as an array, and an array as it is."""
    if type(table) is np.ndarray:  # asked first: it is much faster told than a sparse matrix
        return table
    return table.toarray() if isinstance(table, coo_array | csr_array) else np.asarray(table)


def same_content(one: Any, other: Any, made_by: tuple[str, ...] = ()) -> bool:
    """Return whether two objects have the same class and equal fields, apart from the fields named in `made_by`."""
    if type(one) is not type(other):
        return False
    return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name not in made_by)


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, csr_array) or isinstance(y, csr_array):
        return type(x) is type(y) and x.shape == y.shape and abs(x - y).sum() == 0.0
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and np.array_equal(x, y)
    return bool(x == y)
