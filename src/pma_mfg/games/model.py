"""A mean field game as data (docs/theory.md, section 1).

Transitions and rewards are sums of fixed tables weighted by features of the mean field,

    P(.|s,a,mu) = P0(.|s,a) + sum_k phi_k(mu) P_k(.|s,a),      R(s,a,mu) = R0(s,a) + sum_k phi_k(mu) R_k(s,a),

with phi_k(mu) = g_k(<w_k, mu> + b_k) and a link g_k from a short list. One compiled simulator serves every such game,
its Lipschitz constants have proofs, and it is saved, hashed and compared like any array.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pma_mfg.errors import Description, InputError

#: The links g, in the order of their codes in `pma_mfg.kernels`. `log` is log(x + parameter), `minimum` is min(1, x),
#: `positive` is max(0, x), `power` is max(0, x) ** parameter.
LINKS = ("identity", "absolute", "log", "minimum", "positive", "power")

#: An argument this close to a link's kink counts as on it: an equilibrium is known to some 1e-12.
KINK_WIDTH = 1e-9
ROW_SUM_TOLERANCE = 1e-12  # rounding of a sum of a few thousand terms near 1 stays far below


@dataclass(frozen=True)
class Features:
    """Features phi_k(mu) = g_k(<w_k, mu> + b_k) of a mean field, k = 0..K-1.

    Parameters
    ----------
    weights : ndarray, shape (K, S)
    offsets : ndarray, shape (K,)
    links : ndarray of int, shape (K,)
        Indices into `LINKS`.
    parameters : ndarray, shape (K,)
        The link's parameter: the shift of `log`, the exponent of `power`; ignored by the others.
    """

    weights: np.ndarray
    offsets: np.ndarray
    links: np.ndarray
    parameters: np.ndarray

    @classmethod
    def build(
        cls, weights: ArrayLike, offsets: ArrayLike = 0.0, link: str = "identity", parameter: float = 0.0
    ) -> Features:
        """Return K features that share one link; `weights` (K, S), `offsets` broadcast to (K,)."""
        rows = np.asarray(weights, dtype=float)
        count = len(rows)
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
        values: np.ndarray = x.copy()
        for k, (link, parameter) in enumerate(zip(self.links, self.parameters, strict=True)):
            column = x[..., k]
            match LINKS[link]:
                case "absolute":
                    values[..., k] = np.abs(column)
                case "log":
                    with np.errstate(divide="ignore", invalid="ignore"):  # reported by MeanFieldGame.validate
                        values[..., k] = np.log(column + parameter)
                case "minimum":
                    values[..., k] = np.minimum(1.0, column)
                case "positive":
                    values[..., k] = np.maximum(0.0, column)
                case "power":
                    values[..., k] = np.maximum(0.0, column) ** parameter
        return values

    def values(self, mean_field: np.ndarray) -> np.ndarray:
        """Return phi(mu), shape (..., K), for mean fields of shape (..., S)."""
        return self.link_values(self.arguments(mean_field))

    def kinks(self) -> np.ndarray:
        """Return the argument at which each link has its kink, shape (K,); nan for the links that have none."""
        place = {"absolute": 0.0, "positive": 0.0, "minimum": 1.0, "power": 0.0}
        return np.array([place.get(LINKS[link], np.nan) for link in self.links])

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether no argument lies on the kink of its link, at mu of shape (S,)."""
        return not (np.abs(self.arguments(mean_field) - self.kinks()) < KINK_WIDTH).any()

    def gradients(self, mean_field: np.ndarray) -> np.ndarray:
        """Return d phi_k / d mu(z), shape (K, S), at mu of shape (S,); at a kink, the mean of both sides."""
        x = self.arguments(mean_field)
        slopes = np.ones_like(x)
        side = np.where(np.abs(x - self.kinks()) < KINK_WIDTH, 0.0, np.sign(x - self.kinks()))
        for k, (link, parameter) in enumerate(zip(self.links, self.parameters, strict=True)):
            match LINKS[link]:
                case "absolute":
                    slopes[k] = side[k]
                case "log":
                    slopes[k] = 1.0 / (x[k] + parameter)
                case "minimum":
                    slopes[k] = 0.5 * (1.0 - side[k])
                case "positive":
                    slopes[k] = 0.5 * (1.0 + side[k])
                case "power":
                    slopes[k] = parameter * max(0.0, x[k]) ** (parameter - 1.0) if x[k] > 0 else 0.0
        return np.asarray(slopes[:, None] * self.weights)

    def ranges(self, vertices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest value of each feature, each (K,), on the simplex or the hull of (Z, S)."""
        x = self.arguments(np.eye(self.weights.shape[1]) if vertices is None else vertices)
        low, high = x.min(axis=0), x.max(axis=0)
        ends = np.sort(self.link_values(np.stack([low, high])), axis=0)  # every link but |x| is monotone
        straddles = (self.links == LINKS.index("absolute")) & (low < 0.0) & (high > 0.0)
        return np.where(straddles, 0.0, ends[0]), ends[1]

    def link_lipschitz(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """Return the Lipschitz constant of each link, (K,), on its argument's range; `vertices` as in `ranges`."""
        x = self.arguments(np.eye(self.weights.shape[1]) if vertices is None else vertices)
        low, high = x.min(axis=0), x.max(axis=0)
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
        return constants


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class MeanFieldGame:
    """A stationary, discounted mean field game with finitely many states and actions.

    Parameters
    ----------
    discount : float
        gamma, in [0, 1).
    base_transition : ndarray, shape (S, A, S)
        P0; the last axis is the next state.
    base_reward : ndarray, shape (S, A)
        R0.
    transition_terms : ndarray, shape (K, S, A, S)
        P_k, one per transition feature.
    transition_features : Features
    reward_terms : ndarray, shape (L, S, A)
        R_k, one per reward feature.
    reward_features : Features
    family : str
        The generator's name, or "custom".
    parameters : dict
        The generator's keywords.
    planted : Planted or None
        The closed-form equilibrium of a planted game.

    Raises
    ------
    InputError
        If shapes do not fit, an entry is not finite, the discount is outside [0, 1), or a transition row has a negative
        entry or does not sum to one at some mean field.
    """

    discount: float
    base_transition: np.ndarray
    base_reward: np.ndarray
    transition_terms: np.ndarray
    transition_features: Features
    reward_terms: np.ndarray
    reward_features: Features
    family: str = "custom"
    parameters: dict[str, Any] = field(default_factory=dict)
    planted: Planted | None = None

    def __post_init__(self) -> None:
        self.validate(f"game '{self.family}'")

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return int(self.base_reward.shape[0])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.base_reward.shape[1])

    def transition(self, mean_field: np.ndarray) -> np.ndarray:
        """Return P(s'|s,a,mu), shape (S, A, S), for a mean field of shape (S,)."""
        phi = self.transition_features.values(np.asarray(mean_field, dtype=float))
        return np.asarray(self.base_transition + np.tensordot(phi, self.transition_terms, axes=1))

    def reward(self, mean_field: np.ndarray) -> np.ndarray:
        """Return R(s,a,mu), shape (S, A), for a mean field of shape (S,)."""
        phi = self.reward_features.values(np.asarray(mean_field, dtype=float))
        return np.asarray(self.base_reward + np.tensordot(phi, self.reward_terms, axes=1))

    def validate(self, source: str) -> None:
        """Check the game and raise an `InputError` that names `source` and the field.

        Probabilities are checked on the vertices of the simplex, which is a proof when every transition feature is
        affine, and on 256 points inside otherwise.
        """
        if not (isinstance(self.discount, float | int) and 0.0 <= self.discount < 1.0):
            raise InputError(source, "discount", self.discount, "a number in [0, 1)")
        if self.base_reward.ndim != 2 or 0 in self.base_reward.shape:
            raise InputError(source, "base_reward", self.base_reward.shape, "shape (S, A) with S, A >= 1")
        states, actions = self.base_reward.shape
        _check_array(source, "base_reward", self.base_reward, (states, actions))
        _check_array(source, "base_transition", self.base_transition, (states, actions, states))
        for name, shape in (("transition", (states, actions, states)), ("reward", (states, actions))):
            features: Features = getattr(self, f"{name}_features")
            links = features.links
            if links.ndim != 1 or links.dtype.kind not in "iu" or not np.isin(links, range(len(LINKS))).all():
                allowed = f"a list of integers from 0 to {len(LINKS) - 1}"
                raise InputError(source, f"{name}_features.links", links.tolist(), allowed)
            count = len(features.links)
            _check_array(source, f"{name}_terms", getattr(self, f"{name}_terms"), (count, *shape))
            _check_array(source, f"{name}_features.weights", features.weights, (count, states))
            _check_array(source, f"{name}_features.offsets", features.offsets, (count,))
            _check_array(source, f"{name}_features.parameters", features.parameters, (count,))
            if not np.isfinite(features.values(np.eye(states))).all():
                raise InputError(
                    source,
                    f"{name}_features",
                    Description("a value that is not finite"),
                    "links that are finite on the whole simplex",
                )
        self._validate_probabilities(source)
        if self.planted is not None:
            _check_distributions(source, "planted_policy", self.planted.policy, (states, actions))
            _check_distributions(source, "planted_mean_field", self.planted.mean_field, (states,))
            if not 0.0 < self.planted.strength < np.inf:
                raise InputError(source, "planted_strength", self.planted.strength, "a finite number > 0")

    def _validate_probabilities(self, source: str) -> None:
        points = np.eye(self.n_states)
        if (self.transition_features.links != 0).any():
            points = np.vstack([points, np.random.default_rng(0).dirichlet(np.full(self.n_states, 0.3), size=256)])
        elif len(self.transition_features.links) == 0:
            points = points[:1]
        for mean_field in points:
            kernel = self.transition(mean_field)
            if (kernel < -ROW_SUM_TOLERANCE).any():
                s, a, y = np.unravel_index(np.argmin(kernel), kernel.shape)
                raise InputError(
                    source,
                    f"transition: P(next={y}|state={s}, action={a}) at mean field {np.round(mean_field, 4).tolist()}",
                    float(kernel[s, a, y]),
                    "a probability >= 0",
                )
            excess = np.abs(kernel.sum(axis=2) - 1.0)
            if (excess > ROW_SUM_TOLERANCE * max(1, self.n_states)).any():
                s, a = np.unravel_index(np.argmax(excess), excess.shape)
                raise InputError(
                    source,
                    f"transition: sum of P(.|state={s}, action={a}) at mean field {np.round(mean_field, 4).tolist()}",
                    float(kernel[s, a].sum()),
                    "probabilities that sum to 1",
                )


def _check_distributions(source: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    _check_array(source, name, array, shape)
    if (array < 0.0).any() or (np.abs(array.sum(axis=-1) - 1.0) > 1e-9).any():
        raise InputError(source, name, array.tolist(), "probabilities that sum to 1")


def _check_array(source: str, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.dtype.kind != "f":
        raise InputError(
            source, name, Description(f"values of type {array.dtype}"), "an array of floating-point numbers"
        )
    if array.shape != shape:
        raise InputError(source, name, Description(f"shape {array.shape}"), f"shape {shape}")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(source, f"{name}{list(place)}", float(array[place]), "a finite number")
