"""A mean field game as data (docs/theory, section 1).

Transitions and rewards are sums of fixed tables weighted by features of the mean field,

    P(.|s,a,mu) = P0(.|s,a) + sum_k phi_k(mu) P_k(.|s,a),      R(s,a,mu) = R0(s,a) + sum_k phi_k(mu) R_k(s,a),

with phi_k(mu) = g_k(<w_k, mu> + b_k) and a link g_k from a short list. One compiled simulator serves every such game,
its Lipschitz constants have proofs, and it is saved, hashed and compared like any array.

Tables and weights are dense arrays, or sparse matrices for games with many states and few successors; nothing of size
S x A x S is then formed (docs/theory, section 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from math import comb
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array, issparse

from pma_mfg.arrays import floats, precision_advice
from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import LINKS, Features, Table, in_words, same_content, to_dense

#: The sum of a transition row may differ from 1 by S times this, and an entry may be this much below 0. Rounding errors
#: are smaller.
ROW_SUM_TOLERANCE = 1e-12

#: Largest number of table entries of a dense game (160 MB).
DENSE_ENTRIES = 2 * 10**7

#: Largest number of states of the N-agent game (`n_lumped_states`) with which exact computations are done.
MOST_LUMPED_STATES = 200_000

#: Largest number of state-action pairs for independent learning: each agent's last pair is stored in 16 bits.
MOST_PAIRS = 2**16

#: Largest size of a table entry or a feature. Rewards are then at most 1e100 times the number of features, and their
#: squares, divided by (1 - gamma)^2 >= 1e-32, stay below the largest floating-point number, 1.8e308.
LARGEST_VALUE = 1e50

_SIZE = f"a number of at most {LARGEST_VALUE:g} in size, so that no sum of products overflows"


@dataclass(frozen=True, eq=False)
class Planted:
    """An equilibrium known in closed form (docs/theory, section 6.2).

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
    _: KW_ONLY
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

    #: Whether the mean field acts through features, for which bounds can be proved. It does in this class; it is not
    #: known to in a `FunctionGame`.
    has_features: ClassVar[Literal[True]] = True

    def __post_init__(self) -> None:
        source = f"game '{self.family}'"
        given = getattr(self.base_transition, "dtype", None)
        for name in ("base_transition", "base_reward", "transition_terms", "reward_terms"):
            table = getattr(self, name)  # `validate` reports arrays that are not numeric, with all other problems
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
    def depends_on_population(self) -> bool:
        """Whether the transitions depend on the mean field."""
        return len(self.transition_features.links) > 0

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
        return np.asarray(phi @ terms.reshape(len(terms), base.size)).reshape(base.shape)

    def reward(self, mean_field: np.ndarray) -> np.ndarray:
        """Return R(s,a,mu), shape (S, A), for a mean field of shape (S,)."""
        phi = self.reward_features.values(np.asarray(mean_field, dtype=float))
        return np.asarray(self.base_reward + self.reward_change(phi))

    def reward_change(self, phi: np.ndarray) -> np.ndarray:
        """Return sum_k phi_k R_k, shape (S, A), for phi of shape (L,)."""
        terms, base = self.reward_terms, self.base_reward
        flat = terms if isinstance(terms, csr_array) else terms.reshape(len(terms), base.size)
        return np.asarray(phi @ flat).reshape(base.shape)

    def dense(self, source: str) -> MeanFieldGame:
        """Return the same game with dense tables; a game that has only dense tables is returned as it is.

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

    def with_features(self, source: str) -> MeanFieldGame:
        """Return this game; a `FunctionGame` raises an `InputError` that names `source`."""
        return self

    def without_rewards(self) -> MeanFieldGame:
        """Return the game with the same transitions and the reward 0."""
        reward = np.zeros_like(self.base_reward)
        terms, features = np.zeros((0, *reward.shape)), Features.none(self.n_states)
        return replace(self, base_reward=reward, reward_terms=terms, reward_features=features)

    def linearized(self, mean_field: np.ndarray) -> MeanFieldGame:
        """Return this game, whose features have exact derivatives; a `FunctionGame` returns tables from differences."""
        return self

    def has_derivatives(self) -> bool:
        """Return whether the tables of `linearized` fit into memory."""
        return True

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
        """Return whether the features' ranges prove that rows are distributions: O(K) tables, not one per vertex."""
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


def repeated(labels: Sequence[str]) -> str:
    """Return the first label that occurs twice, or an empty text."""
    return next((label for i, label in enumerate(labels) if label in labels[:i]), "")


def _distribution_problems(source: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> Iterator[InputError]:
    wrong = list(_array_problems(source, name, array, shape))
    yield from wrong
    if not wrong and ((array < 0.0).any() or (np.abs(array.sum(axis=-1) - 1.0) > 1e-9).any()):
        yield InputError(source, name, array.tolist(), "probabilities that sum to 1")


def _array_problems(source: str, name: str, array: Table, shape: tuple[int, ...]) -> Iterator[InputError]:
    """Yield the first problem of an array, if it has any; further ones often follow from it."""
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


def check_n_agents(n_agents: int) -> int:
    """Return the number of agents as an int, or raise an `InputError` unless it is an integer from 2 to 10^15."""
    whole = isinstance(n_agents, int | np.integer) or (isinstance(n_agents, float) and n_agents.is_integer())
    if isinstance(n_agents, bool) or not whole or not 2 <= n_agents <= 10**15:
        raise InputError("simulation", "n_agents", n_agents, "an integer from 2 to 10^15")
    return int(n_agents)


def n_lumped_states(n_states: int, n_agents: int) -> int:
    """Return S C(N + S - 2, S - 1), the states of one agent and the counts of the others (docs/theory, section 9.6).

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
