"""A mean field game as data (docs/theory.md, section 1).

Transitions and rewards are sums of fixed tables weighted by features of the mean field,

    P(.|s,a,mu) = P0(.|s,a) + sum_k phi_k(mu) P_k(.|s,a),      R(s,a,mu) = R0(s,a) + sum_k phi_k(mu) R_k(s,a),

with phi_k(mu) = g_k(<w_k, mu> + b_k) and a link g_k from a short list. One compiled simulator serves every such game,
its Lipschitz constants have proofs, and it is saved, hashed and compared like any array.

Tables and weights are dense arrays, or sparse matrices for games with many states and few successors; nothing of size
S x A x S is then formed (docs/theory.md, section 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, issparse

from pma_mfg.arrays import floats, precision_advice
from pma_mfg.errors import Description, InputError

#: The links g, in the order of their codes in `pma_mfg.simulation.links`. `log` is log(x + parameter), `minimum` is
#: min(1, x), `positive` is max(0, x), `power` is max(0, x) ** parameter, `floored_log` is log(max(x, parameter)),
#: `reciprocal` is 1 / (x + parameter), `exponential` is exp(x).
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

#: An argument this close to a link's kink counts as on it: an equilibrium is known to some 1e-12.
KINK_WIDTH = 1e-9

ROW_SUM_TOLERANCE = 1e-12  # rounding of a sum of a few thousand terms near 1 stays far below

#: A sparse game is made dense, for what needs it dense, up to this many table entries (160 MB).
DENSE_ENTRIES = 2 * 10**7

#: States of the exact chain of the N-agent game (`n_lumped_states`) that are computed with.
MOST_LUMPED_STATES = 200_000

#: State-action pairs of a game in which agents learn independently: each agent's last one is stored in 16 bits.
MOST_PAIRS = 2**16

#: Entries and features beyond are refused: rewards stay below the product of two and the number of features, and their
#: squares over (1 - gamma)^2, which is at least 1e-32, far below the largest floating-point number, 1.8e308.
LARGEST_VALUE = 1e50

_SIZE = f"a number of at most {LARGEST_VALUE:g} in size, so that no sum of products overflows"

#: A dense array (ndarray), or a sparse matrix (csr_array) in its place; docstrings say of what shape. The two have no
#: useful type in common; code that knows arrays only takes `MeanFieldGame.dense`.
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
        cls, weights: ArrayLike | csr_array, offsets: ArrayLike = 0.0, link: str = "identity", parameter: float = 0.0
    ) -> Features:
        """Return K features that share one link; `weights` (K, S), `offsets` broadcast to (K,)."""
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

    def arguments(self, mean_field: np.ndarray) -> np.ndarray:
        """Return <w_k, mu> + b_k, shape (..., K), for mean fields of shape (..., S)."""
        return np.asarray(mean_field @ self.weights.T + self.offsets)

    def link_values(self, x: np.ndarray) -> np.ndarray:
        """Return g_k(x_k), shape (..., K), for arguments of shape (..., K)."""
        values = x.copy()
        for code in np.unique(self.links):
            k = np.flatnonzero(self.links == code)
            columns, parameters = x[..., k], self.parameters[k]
            match LINKS[code]:
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
        place = {"absolute": 0.0, "positive": 0.0, "minimum": 1.0, "power": 0.0}
        return np.asarray(np.array([place.get(link, np.nan) for link in LINKS])[self.links])

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether no argument lies on the kink of its link, at mu of shape (S,)."""
        return not (np.abs(self.arguments(mean_field) - self.kinks()) < KINK_WIDTH).any()

    def gradients(self, mean_field: np.ndarray) -> Table:
        """Return d phi_k / d mu(z), shape (K, S), at mu of shape (S,); at a kink, the mean of both sides.

        Sparse where the weights are.
        """
        x = self.arguments(mean_field)
        slopes = np.ones_like(x)
        side = np.where(np.abs(x - self.kinks()) < KINK_WIDTH, 0.0, np.sign(x - self.kinks()))
        for code in np.unique(self.links):
            k = np.flatnonzero(self.links == code)
            parameters = self.parameters[k]
            match LINKS[code]:
                case "absolute":
                    slopes[k] = side[k]
                case "log":
                    slopes[k] = 1.0 / (x[k] + parameters)
                case "minimum":
                    slopes[k] = 0.5 * (1.0 - side[k])
                case "positive":
                    slopes[k] = 0.5 * (1.0 + side[k])
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
        """Return the smallest and largest argument of each link on the simplex, or the hull of (Z, S), each (K,)."""
        if vertices is not None:
            x = self.arguments(vertices)
            return x.min(axis=0), x.max(axis=0)
        if 0 in self.weights.shape:
            return self.offsets, self.offsets
        ends = (self.weights.min(axis=1), self.weights.max(axis=1))
        low, high = (to_dense(end) + self.offsets for end in ends)
        return low, high

    def ranges(self, vertices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest value of each feature, each (K,); `vertices` as in `argument_ranges`."""
        low, high = self.argument_ranges(vertices)
        ends = np.sort(self.link_values(np.stack([low, high])), axis=0)  # every link but |x| is monotone
        straddles = (self.links == LINKS.index("absolute")) & (low < 0.0) & (high > 0.0)
        # next to its pole 1 / (x + b) takes all values beyond both ends
        pole = (self.links == LINKS.index("reciprocal")) & (low <= -self.parameters) & (high >= -self.parameters)
        return np.where(pole, -np.inf, np.where(straddles, 0.0, ends[0])), np.where(pole, np.inf, ends[1])

    def link_lipschitz(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """Return the Lipschitz constant of each link, (K,), on its argument's range; `vertices` as there."""
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


@dataclass(frozen=True, eq=False)
class Planted:
    """An equilibrium known in closed form (docs/theory.md, section 6.2).

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    strength : float
        The entropy weight for which (policy, mean_field) is the equilibrium.
    """

    policy: np.ndarray
    mean_field: np.ndarray
    strength: float

    def __eq__(self, other: object) -> bool:
        return same_content(self, other)

    __hash__ = None  # type: ignore[assignment]  # as of Features


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldGame:
    """A stationary, discounted mean field game with finitely many states and actions.

    Two games are equal if their tables, features, labels, layout and planted equilibrium are, whatever made them.

    Parameters
    ----------
    discount : float
        gamma, in [0, 1).
    base_transition : ndarray, shape (S, A, S), or csr_array, shape (S A, S)
        P0; the last axis is the next state. Of a sparse matrix row s A + a belongs to state s and action a.
    base_reward : ndarray, shape (S, A)
        R0.
    transition_terms : ndarray, shape (K, S, A, S), or csr_array, shape (K, nnz)
        P_k, one per transition feature. Sparse if P0 is: row k then holds the values of P_k at the stored entries of
        P0, in their order, so that all P_k share the pattern of P0 (which may store zeros).
    transition_features : Features
    reward_terms : ndarray, shape (L, S, A), or csr_array, shape (L, S A)
        R_k, one per reward feature; sparse or not whatever P0 is.
    reward_features : Features
    family : str
        The generator's name, or "custom".
    parameters : dict
        The generator's keywords.
    planted : Planted or None
        The closed-form equilibrium of a planted game.
    state_labels : tuple of str
        S names, or none.
    action_labels : tuple of str
        A names, or none.
    layout : ndarray, shape (S, 2), or None
        Where to draw the states: column and row, in units of a cell, row 0 at the bottom.

    Raises
    ------
    InputError
        If shapes do not fit, an entry is not finite, the discount is outside [0, 1), or a transition row has a negative
        entry or does not sum to one at some mean field.
    """

    discount: float
    base_transition: Table
    base_reward: np.ndarray
    transition_terms: Table
    transition_features: Features
    reward_terms: Table
    reward_features: Features
    family: str = "custom"
    parameters: dict[str, Any] = field(default_factory=dict)
    planted: Planted | None = None
    state_labels: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    layout: np.ndarray | None = None

    def __post_init__(self) -> None:
        source = f"game '{self.family}'"
        given = getattr(self.base_transition, "dtype", None)
        for name in ("base_transition", "base_reward", "transition_terms", "reward_terms"):
            table = getattr(self, name)  # of arrays that are no numbers `validate` tells, of all that are wrong
            if not issparse(table) and (not isinstance(table, np.ndarray) or table.dtype.kind in "fiu"):
                object.__setattr__(self, name, floats(table, source, name))
        try:
            self.validate(source)
        except InputError as error:
            if given not in (np.float16, np.float32) or "sum of P" not in error.field:
                raise
            allowed = f"{error.allowed}; {precision_advice(given)}"
            raise InputError(source, error.field, error.value, allowed) from None

    def __eq__(self, other: object) -> bool:
        return same_content(self, other, made_by=("family", "parameters"))

    __hash__ = None  # type: ignore[assignment]  # as of Features

    def __repr__(self) -> str:
        told = [
            f"{kind} {in_words(features)}"
            for kind, features in (("transitions", self.transition_features), ("rewards", self.reward_features))
        ]
        shape = f"S = {self.n_states}, A = {self.n_actions}, gamma = {self.discount:g}"
        return f"<{type(self).__name__} {self.family}: {shape}; {', '.join(told)}>"

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return int(self.base_reward.shape[0])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.base_reward.shape[1])

    @property
    def is_sparse(self) -> bool:
        """Whether the transitions are a sparse matrix."""
        return issparse(self.base_transition)

    def transition(self, mean_field: np.ndarray) -> Table:
        """Return P(s'|s,a,mu), shape (S, A, S), for a mean field of shape (S,); a csr_array (S A, S) if P0 is one.

        Not to be written to: without features it is the game's own table.
        """
        if len(self.transition_features.links) == 0:
            return self.base_transition
        phi = self.transition_features.values(np.asarray(mean_field, dtype=float))
        change = self.transition_change(phi)
        if isinstance(self.base_transition, csr_array) and isinstance(change, csr_array):
            change.data += self.base_transition.data
            return change
        return np.asarray(self.base_transition + change)

    def transition_change(self, phi: np.ndarray) -> Table:
        """Return sum_k phi_k P_k, of the kind and shape of P0, for phi of shape (K,)."""
        base, terms = self.base_transition, self.transition_terms
        if isinstance(base, csr_array):
            return csr_array((phi @ terms, base.indices, base.indptr), shape=base.shape)
        return np.asarray(np.tensordot(phi, terms, axes=1))

    def reward(self, mean_field: np.ndarray) -> np.ndarray:
        """Return R(s,a,mu), shape (S, A), for a mean field of shape (S,)."""
        phi = self.reward_features.values(np.asarray(mean_field, dtype=float))
        return np.asarray(self.base_reward + self.reward_change(phi))

    def reward_change(self, phi: np.ndarray) -> np.ndarray:
        """Return sum_k phi_k R_k, shape (S, A), for phi of shape (L,)."""
        if isinstance(self.reward_terms, csr_array):
            return np.asarray(phi @ self.reward_terms).reshape(self.base_reward.shape)
        return np.asarray(np.tensordot(phi, self.reward_terms, axes=1))

    def dense(self, source: str) -> MeanFieldGame:
        """Return the same game with dense tables only: this very game if it has no others.

        Parameters
        ----------
        source : str
            What needs them, for the message.

        Returns
        -------
        MeanFieldGame

        Raises
        ------
        InputError
            If the tables of a sparse game would have more than `DENSE_ENTRIES` entries.
        """
        parts = (self.transition_features.weights, self.reward_features.weights, self.reward_terms)
        if not (self.is_sparse or any(map(issparse, parts))):
            return self
        shape = (*self.base_reward.shape, self.n_states)
        count, terms = len(self.transition_features.links), len(self.reward_features.links)
        entries = (1 + count) * int(np.prod(shape)) + terms * self.n_states * (1 + self.n_actions)
        if entries > DENSE_ENTRIES:
            allowed = f"a game whose dense tables have at most {DENSE_ENTRIES:.0e} entries"
            raise InputError(source, "game", Description(f"a sparse game with {entries:.1e} of them"), allowed)
        tables = [self.base_transition, *(self.transition_change(row) for row in np.eye(count))]
        changes: dict[str, Any] = {
            f"{kind}_features": replace(features, weights=to_dense(features.weights))
            for kind, features in (("transition", self.transition_features), ("reward", self.reward_features))
        }
        return replace(
            self,
            base_transition=to_dense(self.base_transition).reshape(shape),
            transition_terms=np.array([to_dense(table) for table in tables[1:]]).reshape(count, *shape),
            reward_terms=to_dense(self.reward_terms).reshape(terms, *self.base_reward.shape),
            **changes,
        )

    def linearized(self, mean_field: np.ndarray) -> MeanFieldGame:
        """Return this game, whose features know their derivatives; as of a `FunctionGame`."""
        return self

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether no feature has its kink at a mean field."""
        families = (self.transition_features, self.reward_features)
        return all(features.differentiable_at(mean_field) for features in families)

    def validate(self, source: str) -> None:
        """Check the game and raise an `InputError` that names `source` and the field.

        Probabilities are checked on the vertices of the simplex, which is a proof when every transition feature is
        affine, and on 256 points inside otherwise.
        """
        for error in self.structural_problems(source):
            raise error
        self._validate_probabilities(source)

    def structural_problems(self, source: str) -> Iterator[InputError]:
        """Yield what is wrong with the game's arrays themselves, before any mean field is looked at.

        Parameters
        ----------
        source : str
            As in `validate`.

        Yields
        ------
        InputError
        """
        if not (isinstance(self.discount, float | int) and 0.0 <= self.discount < 1.0):
            yield InputError(source, "discount", self.discount, "a number in [0, 1)")
        if self.base_reward.ndim != 2 or 0 in self.base_reward.shape:
            yield InputError(source, "base_reward", self.base_reward.shape, "shape (S, A) with S, A >= 1")
            return  # of what shape the others are to be is not known
        states, actions = self.base_reward.shape
        yield from _array_problems(source, "base_reward", self.base_reward, (states, actions))
        sparse = isinstance(self.base_transition, csr_array)
        shape = (states * actions, states) if sparse else (states, actions, states)
        yield from _array_problems(source, "base_transition", self.base_transition, shape)
        if issparse(self.transition_terms) != sparse:
            kinds = ("a sparse matrix", "a dense array")
            found, expected = kinds if issparse(self.transition_terms) else kinds[::-1]
            yield InputError(source, "transition_terms", Description(found), f"{expected}, as base_transition is")
        flat_reward = (states * actions,) if issparse(self.reward_terms) else (states, actions)
        entries = (self.base_transition.nnz,) if isinstance(self.base_transition, csr_array) else shape
        for name, term in (("transition", entries), ("reward", flat_reward)):
            features: Features = getattr(self, f"{name}_features")
            links = features.links
            if links.ndim != 1 or links.dtype != np.int64 or not np.isin(links, range(len(LINKS))).all():
                allowed = f"a list of integers from 0 to {len(LINKS) - 1}"
                shown = links[:20].tolist() if links.ndim == 1 else Description(f"shape {links.shape}")
                yield InputError(source, f"{name}_features.links", shown, allowed)
                continue
            count = len(features.links)
            yield from _array_problems(source, f"{name}_terms", getattr(self, f"{name}_terms"), (count, *term))
            wrong = [
                *_array_problems(source, f"{name}_features.weights", features.weights, (count, states)),
                *_array_problems(source, f"{name}_features.offsets", features.offsets, (count,)),
                *_array_problems(source, f"{name}_features.parameters", features.parameters, (count,)),
            ]
            yield from wrong
            if wrong:
                continue
            with np.errstate(all="ignore"):  # of what overflows, the next line tells
                largest = float(np.abs(features.ranges()).max(initial=0.0))
            if not largest <= LARGEST_VALUE:  # attained on the vertices
                shown = Description("a value that is not finite" if not np.isfinite(largest) else f"{largest:.3g}")
                allowed = f"links that are finite on the whole simplex, at most {LARGEST_VALUE:g} in size"
                yield InputError(source, f"{name}_features", shown, allowed)
        if self.planted is not None:
            yield from _distribution_problems(source, "planted_policy", self.planted.policy, (states, actions))
            yield from _distribution_problems(source, "planted_mean_field", self.planted.mean_field, (states,))
            if not 0.0 < self.planted.strength < np.inf:
                yield InputError(source, "planted_strength", self.planted.strength, "a finite number > 0")
        for name, labels, count in (("state", self.state_labels, states), ("action", self.action_labels, actions)):
            if labels and (len(labels) != count or not all(isinstance(label, str) for label in labels)):
                yield InputError(source, f"{name}_labels", labels, f"{count} strings, or none")
            elif twice := repeated(labels):
                yield InputError(source, f"{name}_labels", Description(f"'{twice}' twice"), "names that differ")
        if self.layout is not None:
            yield from _array_problems(source, "layout", self.layout, (states, 2))

    def _validate_probabilities(self, source: str) -> None:
        if self._probabilities_by_ranges():
            return
        vertices = np.arange(self.n_states if len(self.transition_features.links) else 1)
        inside = np.zeros((0, self.n_states))
        if (self.transition_features.links != 0).any():
            inside = np.random.default_rng(0).dirichlet(np.full(self.n_states, 0.3), size=256)
        mean_field: np.ndarray
        for z in range(len(vertices) + len(inside)):
            if z < len(vertices):
                mean_field = np.zeros(self.n_states)
                mean_field[z] = 1.0
            else:
                mean_field = inside[z - len(vertices)]
            kernel = self.transition(mean_field)
            shown = np.round(mean_field[:20], 4).tolist()  # a vertex, or one of the 256
            where = f"at mean field {shown}" if self.n_states <= 20 else f"at mean field number {z}, starting {shown}"
            entries = kernel.data if isinstance(kernel, csr_array) else kernel
            if not (entries >= -ROW_SUM_TOLERANCE).all():  # so written, nan is refused too
                s, a, y = self._place(kernel, int(np.argmin(entries)))
                raise InputError(
                    source,
                    f"transition: P(next={y}|state={s}, action={a}) {where}",
                    float(entries.min()),
                    "a probability >= 0",
                )
            sums = np.asarray(kernel.sum(axis=-1)).ravel()
            excess = np.abs(sums - 1.0)
            if not (excess <= ROW_SUM_TOLERANCE * max(1, self.n_states)).all():
                s, a = divmod(int(np.argmax(excess)), self.n_actions)
                raise InputError(
                    source,
                    f"transition: sum of P(.|state={s}, action={a}) {where}",
                    float(sums[s * self.n_actions + a]),
                    "probabilities that sum to 1",
                )

    def _probabilities_by_ranges(self) -> bool:
        """Return whether the features' ranges alone prove the probabilities: O(K) tables instead of one per vertex."""
        base, terms = self.base_transition, self.transition_terms
        largest = np.abs(self.transition_features.ranges()).max(axis=0)
        if isinstance(base, csr_array):
            least, sums = self.transition_floor().data, base.sum(axis=1)
            rows = np.repeat(np.arange(base.shape[0]), np.diff(base.indptr))  # that the entries of P0 are in
            collect = csr_array((np.ones(base.nnz), rows, np.arange(base.nnz + 1)), shape=(base.nnz, base.shape[0]))
            excess = largest @ abs(terms @ collect)
        else:
            least, sums = self.transition_floor(), base.sum(axis=2)
            excess = np.tensordot(largest, np.abs(terms.sum(axis=3)), axes=1)
        tolerance = ROW_SUM_TOLERANCE * max(1, self.n_states)
        return bool((least >= -ROW_SUM_TOLERANCE).all() and (np.abs(sums - 1.0) + excess <= tolerance).all())

    def transition_floor(self) -> Table:
        """Return entrywise lower bounds of P over all mean fields, from the features' ranges, in the shape of P0."""
        base, terms = self.base_transition, self.transition_terms
        low, high = self.transition_features.ranges()
        if isinstance(base, csr_array):
            least = base.data + low @ terms.maximum(0.0) + high @ terms.minimum(0.0)
            return csr_array((least, base.indices, base.indptr), shape=base.shape)
        floor = base + np.tensordot(low, np.maximum(terms, 0.0), axes=1)
        floor += np.tensordot(high, np.minimum(terms, 0.0), axes=1)
        return floor

    def _place(self, kernel: Table, entry: int) -> tuple[int, int, int]:
        """Return state, action and next state of an entry of a transition table, by its place in the storage."""
        if isinstance(kernel, csr_array):
            row = int(np.searchsorted(kernel.indptr, entry, side="right")) - 1
            return *divmod(row, self.n_actions), int(kernel.indices[entry])
        s, a, y = np.unravel_index(entry, kernel.shape)
        return int(s), int(a), int(y)


def same_content(one: Any, other: Any, made_by: tuple[str, ...] = ()) -> bool:
    """Return whether two objects of one dataclass agree in all fields but those named, arrays entry by entry."""
    if type(one) is not type(other):
        return False
    return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.name not in made_by)


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, csr_array) or isinstance(y, csr_array):
        return type(x) is type(y) and x.shape == y.shape and abs(x - y).sum() == 0.0
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and np.array_equal(x, y)
    return bool(x == y)


def in_words(features: Features) -> str:
    """Return how features depend on the mean field, such as "affine in the mean field"."""
    curved = sorted({LINKS[link] for link in features.links if link})
    if curved:
        return f"through the links {', '.join(curved)}"
    return "affine in the mean field" if len(features.links) else "the same at every mean field"


def repeated(labels: Sequence[str]) -> str:
    """Return the first label that occurs twice, or an empty text."""
    return next((label for i, label in enumerate(labels) if label in labels[:i]), "")


def to_dense(table: Table) -> np.ndarray:
    """Return a sparse matrix as an array, and an array as it is."""
    return table.toarray() if isinstance(table, coo_array | csr_array) else np.asarray(table)


def _distribution_problems(source: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> Iterator[InputError]:
    wrong = list(_array_problems(source, name, array, shape))
    yield from wrong
    if not wrong and ((array < 0.0).any() or (np.abs(array.sum(axis=-1) - 1.0) > 1e-9).any()):
        yield InputError(source, name, array.tolist(), "probabilities that sum to 1")


def _array_problems(source: str, name: str, array: Table, shape: tuple[int, ...]) -> Iterator[InputError]:
    """Yield what is wrong with an array, the first thing only: the others follow from it."""
    if array.dtype != np.float64:
        shown = Description(f"values of type {array.dtype}")
        mend = "; array.astype(float), and divide rows by their sums" if array.dtype == np.float32 else ""
        yield InputError(source, name, shown, f"an array of floating-point numbers of 64 bits{mend}")
    elif array.shape != shape:
        yield InputError(source, name, Description(f"shape {array.shape}"), f"shape {shape}")
    elif isinstance(array, csr_array):
        yield from _sparse_problems(source, name, array)
    elif not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        yield InputError(source, f"{name}{list(place)}", float(array[place]), "a finite number")
    elif not np.abs(array).max(initial=0.0) <= LARGEST_VALUE:
        place = tuple(int(i) for i in np.unravel_index(int(np.abs(array).argmax()), array.shape))
        yield InputError(source, f"{name}{list(place)}", float(array[place]), _SIZE)


def _sparse_problems(source: str, name: str, matrix: csr_array) -> Iterator[InputError]:
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        yield InputError(source, name, Description(error), "a well-formed sparse matrix")
        return
    if not matrix.has_canonical_format:
        yield InputError(source, name, Description("unsorted or repeated columns"), "each row's columns in order, once")
    if not np.isfinite(matrix.data).all():
        entry = int(np.flatnonzero(~np.isfinite(matrix.data))[0])
        row = int(np.searchsorted(matrix.indptr, entry, side="right")) - 1
        place = [row, int(matrix.indices[entry])]
        yield InputError(source, f"{name}{place}", float(matrix.data[entry]), "a finite number")
    elif not np.abs(matrix.data).max(initial=0.0) <= LARGEST_VALUE:
        yield InputError(source, name, float(matrix.data[np.abs(matrix.data).argmax()]), _SIZE)


def n_lumped_states(n_states: int, n_agents: int) -> int:
    """Return S C(N + S - 2, S - 1), the states of one agent and the counts of the others (docs/theory.md, section 9.6).

    Parameters
    ----------
    n_states : int
        S >= 1.
    n_agents : int
        N >= 1.

    Returns
    -------
    int
        Less than that where it is above 10^11: what is beyond all use is not counted to the end.
    """
    # C(n, k) >= C(n, 20) for 20 <= k <= n - 20, and C(40, 20) > 10^11
    return n_states * comb(n_agents + n_states - 2, min(n_states - 1, n_agents - 1, 20))
