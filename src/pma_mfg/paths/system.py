"""The equations of the path: mean field, values and the logarithm of the strength (docs/theory, section 19.1).

The policy is the best response to q(mu, V) and is no unknown, so that no logarithm of a small probability is taken.
F_1 = Gamma_pop(mu, pi) - mu and F_2 = max_u <u, q> + h(u) - V. A step solves for the values first, by elimination, and
then for mean field and log-strength, S + 1 unknowns with one row that says how far along the path.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy
import scipy.sparse.linalg

from pma_mfg import operators, regularizers, solvers
from pma_mfg.equilibrium.best_responses import best_response
from pma_mfg.equilibrium.newton_in_population import KEPT_SHARE, separate_parts
from pma_mfg.games.features import Table, to_dense
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: Share of a uniform state's mass below which changes in a state no longer count more, in the length of a step.
LIGHT = 1e-3

#: Number of eigenvalues that are computed of a large game.
LEADING = 6

#: Spectral radius, known to a millionth, below which no eigenvalue has a real part above 1.
SURELY = 0.999

#: Size of the basis in which they are looked for.
BASIS = 60

#: What a direction does to mean field, policy and log-strength.
Direction = tuple[np.ndarray, np.ndarray, float]


@dataclass(frozen=True, eq=False)
class Place:
    """Mean field, values and log-strength, with the policy that they determine.

    Parameters
    ----------
    mean_field : ndarray, shape (S,)
    value : ndarray, shape (S,)
    log_strength : float
    regularizer : Regularizer
        Of this strength.
    transition : ndarray, shape (S, A, S), or csr_array, shape (S A, S)
    q : ndarray, shape (S, A)
    policy : ndarray, shape (S, A)
    gaps : tuple of two ndarrays, each of shape (S,)
        F_1 and F_2.
    chain : Elimination or None
        Of the policy, where F_1 is taken from its stationary law.
    law : ndarray, shape (S,)
        That law, every mass of which is known to its own rounding; without a chain the mean field itself.
    """

    mean_field: np.ndarray
    value: np.ndarray
    log_strength: float
    regularizer: Regularizer
    transition: Table
    q: np.ndarray
    policy: np.ndarray
    gaps: tuple[np.ndarray, np.ndarray]
    chain: solvers.Elimination | None
    law: np.ndarray

    def distance(self, other: Place) -> float:
        """Return the length of the way from another place, in the metric of the path (equation 19.4)."""
        ways = self.mean_field - other.mean_field, self.policy - other.policy, self.log_strength - other.log_strength
        return length(self.mean_field, ways)


def length(mean_field: np.ndarray, direction: Direction) -> float:
    """Return sqrt(sum_s d mu(s)^2 / omega(s) + omega(s) ||d pi(s)||^2 + (d log tau)^2), omega = mu + a small share."""
    return float(np.sqrt(inner(mean_field, direction)))


def inner(mean_field: np.ndarray, one: Direction, other: Direction | None = None) -> float:
    """Return the product of two directions in the metric of the path, or of one with itself."""
    weight = mean_field + LIGHT / len(mean_field)
    other = one if other is None else other
    spread = (one[0] * other[0] / weight).sum() + (weight * (one[1] * other[1]).sum(axis=1)).sum()
    return float(spread + one[2] * other[2])


class System:
    """The equations of one game and one kind of regularizer.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Of any strength.
    mean_field : ndarray, shape (S,)
        What says how parts of the game between which nobody moves share the population.
    """

    def __init__(self, game: Game, regularizer: Regularizer, mean_field: np.ndarray) -> None:
        self.game, self.regularizer = game, regularizer
        self.by_law = game.n_states <= solvers.DIRECT_SIZE
        label, self.parts = separate_parts(game, mean_field)
        self.label = np.zeros(game.n_states, dtype=np.int64) if self.parts == 1 else label

    def population_gap(
        self, mean_field: np.ndarray, policy: np.ndarray, transition: Table
    ) -> tuple[np.ndarray, solvers.Elimination | None, np.ndarray]:
        """Return F_1, the chain it was computed from, and the `law` of a place.

        F_1 is the law of the chain less mu, or above `DIRECT_SIZE` one update less mu. Both vanish together. The law
        is known to rounding of each entry, however slowly the chain mixes.
        """
        if self.by_law:
            chain = operators.policy_chain(self.game, mean_field, policy, heaviest_first=True)[0]
            law = chain.law(mean_field)
            return law - mean_field, chain, law
        moved = operators.push_forward(transition, mean_field[:, None] * policy)
        return moved / moved.sum() - mean_field, None, mean_field

    def place(self, mean_field: np.ndarray, value: np.ndarray, log_strength: float) -> Place:
        """Return the place of a mean field, values and a log-strength."""
        regularizer = regularizers.with_strength(self.regularizer, float(np.exp(log_strength)))
        transition = self.game.transition(mean_field)
        q = self.game.reward(mean_field) + self.game.discount * operators.next_value(transition, value)
        policy = regularizer.best_response(q)
        gap, chain, law = self.population_gap(mean_field, policy, transition)
        gaps = gap, regularizer.optimum(q) - value
        return Place(
            mean_field=mean_field,
            value=value,
            log_strength=log_strength,
            regularizer=regularizer,
            transition=transition,
            q=q,
            policy=policy,
            gaps=gaps,
            chain=chain,
            law=law,
        )

    def at(self, mean_field: np.ndarray, log_strength: float) -> Place:
        """Return the place of a mean field with the values of the best response to it."""
        regularizer = regularizers.with_strength(self.regularizer, float(np.exp(log_strength)))
        transition, reward = self.game.transition(mean_field), self.game.reward(mean_field)
        policy = best_response(transition, reward, self.game.discount, regularizer=regularizer)
        q = operators.q_of_decision_process(
            transition, reward, self.game.discount, policy=policy, regularizer=regularizer
        )
        return self.place(mean_field, regularizer.optimum(q), log_strength)

    def moved(self, place: Place, change: tuple[np.ndarray, np.ndarray, float]) -> Place:
        """Return the place after a change of the unknowns; no mass falls below a tenth of itself, or its law."""
        least = KEPT_SHARE * place.mean_field
        if place.chain is not None:
            least = np.minimum(least, place.law)
        mean_field = np.maximum(place.mean_field + change[0], least)
        if place.chain is not None:  # masses below rounding of the others: the law knows them, Newton's step does not
            mean_field = np.where(np.maximum(mean_field, place.law) < solvers.EPSILON, place.law, mean_field)
        if self.parts > 1:
            held = self.label >= 0
            before, after = (np.bincount(self.label[held], x[held]) for x in (place.mean_field, mean_field))
            mean_field[held] *= (before / np.maximum(after, solvers.TINY))[self.label[held]]
        mean_field /= mean_field.sum()
        return self.place(mean_field, place.value + change[1], place.log_strength + change[2])


class Linearization:
    """The derivative of the equations at a place, with the values eliminated (equations 19.2 and 19.3).

    Parameters
    ----------
    system : System
    place : Place
    """

    def __init__(self, system: System, place: Place) -> None:
        game = system.game
        mean_field, policy = place.mean_field, place.policy
        states, actions = policy.shape
        tables = game.linearized(mean_field)
        self.system, self.place, self.discount = system, place, game.discount
        self.transition = place.transition
        self.weight = 1.0 / place.regularizer.curvature(policy)
        self.totals = np.maximum(self.weight.sum(axis=1, keepdims=True), solvers.TINY)
        self.likeliest = self.weight.argmax(axis=1)
        slopes_R, slopes_P = (
            features.gradients(mean_field) for features in (tables.reward_features, tables.transition_features)
        )
        reward_terms = tables.reward_terms.reshape(-1, states * actions)
        self.target = _filled(reward_terms.T @ slopes_R)
        if slopes_P.shape[0]:
            values = operators.value_per_feature(tables, place.value)
            self.target = self.target + self.discount * _filled(values.T @ slopes_P)
        self.target = self.target.reshape(states, actions, states)
        kernel = to_dense(operators.policy_kernel(self.transition, policy))
        self.values = scipy.linalg.lu_factor(np.eye(states) - self.discount * kernel)
        gain = np.matmul(policy[:, None, :], self.target)[:, 0, :]
        self.value_slope = scipy.linalg.lu_solve(self.values, gain)
        self.value_strength = scipy.linalg.lu_solve(self.values, place.regularizer.value(policy))
        flows = operators.flow_per_feature(tables, place.law[:, None] * policy)
        own = _filled(flows.T @ slopes_P)
        if place.chain is None:  # F_1 = Gamma_pop(mu, pi) - mu: nothing is added to the mass of a part of the game
            own += kernel.T
            for part in range(system.parts):
                inside = system.label == part
                own[inside] -= own[inside].sum(axis=0) / np.count_nonzero(inside)
        self.own = own if place.chain is None else self.settled(own)
        self.response = self.settled(self.flow(self.steered(self.q_change(self.target, self.value_slope))))
        # the strength acts through q / tau and through the values
        change = self.q_change(np.zeros(policy.shape), self.value_strength) - place.q
        self.strength = self.settled(self.flow(self.steered(change)))

    def settled(self, flows: np.ndarray) -> np.ndarray:
        """Return what flows, shape (S, ...), do to F_1: themselves, or where that is a law their sum over time."""
        chain = self.place.chain
        return flows if chain is None else chain.deviation(flows.T).T

    def q_change(self, target: np.ndarray, d_value: np.ndarray) -> np.ndarray:
        """Return d theta + gamma P dV, shape (S, A, ...)."""
        moved = np.asarray(self.transition @ d_value)
        return np.asarray(target + self.discount * moved.reshape(target.shape))

    def steered(self, d_q: np.ndarray) -> np.ndarray:
        """Return the change of the best response, shape (S, A, ...), when q changes: equation (7.4) without a step."""
        shape = self.weight.shape + (1,) * (d_q.ndim - 2)
        weight = self.weight.reshape(shape)
        mean = (weight * d_q).sum(axis=1, keepdims=True) / self.totals.reshape(-1, *(1,) * (d_q.ndim - 1))
        d_policy = weight * (d_q - mean)
        # the likeliest action as what the others leave: next to a chance of 1 a chance of 1e-20 keeps its digits
        states = np.arange(len(d_policy))
        d_policy[states, self.likeliest] = 0.0
        d_policy[states, self.likeliest] = -d_policy.sum(axis=1)
        return np.asarray(d_policy)

    def flow(self, d_policy: np.ndarray) -> np.ndarray:
        """Return sum_{s,a} mu(s) d pi(a|s) P(.|s,a), shape (S, ...), with the masses of the law."""
        # next to chances of 1e-39 to leave a group the rounding errors count that Newton's steps leave in mu
        states = len(self.place.law)
        weighted = self.place.law.reshape(-1, *(1,) * (d_policy.ndim - 1)) * d_policy
        rows = weighted.reshape(states * self.weight.shape[1], *d_policy.shape[2:])
        table = self.transition if self.transition.ndim == 2 else self.transition.reshape(len(rows), states)
        return np.asarray(table.T @ rows)

    def reduced(
        self, gaps: tuple[np.ndarray, np.ndarray], missing: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return F_1 with the values eliminated, and what closing F_2 adds to the values; see `Bordered.step`."""
        by_value = scipy.linalg.lu_solve(self.values, gaps[1])
        change = self.q_change(np.zeros_like(self.weight), by_value)
        if missing is not None:
            change = change + missing
        return gaps[0] + self.settled(self.flow(self.steered(change))), by_value

    def bordered(self, row: tuple[np.ndarray, float]) -> Bordered:
        """Return the equations together with a row in (mu, log tau), factorized."""
        return Bordered(self, row)

    def direction(self, d_mean_field: np.ndarray, d_log_strength: float) -> Direction:
        """Return what a change of mean field and log-strength does to mean field, policy and log-strength."""
        d_value = self.value_slope @ d_mean_field + d_log_strength * self.value_strength
        d_q = self.q_change(self.target @ d_mean_field, d_value) - d_log_strength * self.place.q
        return d_mean_field, self.steered(d_q), d_log_strength

    def stability(self) -> tuple[int, float]:
        """Return how many eigenvalues of J_inf have a real part above 1, and its spectral radius.

        Above `solvers.DIRECT_SIZE` states by the iterative method of Arnoldi, which finds at most `LEADING` of them:
        -1 and nan where it does not come to an end.
        """
        if len(self.own) <= solvers.DIRECT_SIZE:
            values = self.best_response_spectrum()
            return int((values.real > 1.0).sum()), float(np.abs(values).max(initial=0.0))
        if not self.response.any():
            return 0, 0.0
        flow = np.eye(len(self.own)) - self.own
        try:
            radius = float(np.abs(_leading(flow, self.response)).max())
            if radius < SURELY:
                return 0, radius
            # lambda / (lambda - 2): outside of the unit circle just where the real part of lambda is above 1
            beyond = _leading(self.response - 2.0 * flow, self.response)
        except (scipy.sparse.linalg.ArpackError, np.linalg.LinAlgError):
            return -1, float("nan")
        return int((np.abs(beyond) > 1.0).sum()), radius

    def best_response_spectrum(self) -> np.ndarray:
        """Return the eigenvalues of J_inf but for zeros: those of (I - J)^{-1} Phi B (Proposition 19.1)."""
        return np.asarray(np.linalg.eigvals(np.linalg.solve(np.eye(len(self.own)) - self.own, self.response)))


def _leading(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the `LEADING` eigenvalues of left^{-1} right that are largest in size, to a millionth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)  # what it warns of is asked next
        factors = scipy.linalg.lu_factor(left)
    if not np.diagonal(factors[0]).all():
        raise np.linalg.LinAlgError("singular")
    operator = scipy.sparse.linalg.LinearOperator(
        left.shape, matvec=lambda x: scipy.linalg.lu_solve(factors, right @ x), dtype=float
    )
    start = np.random.default_rng(0).normal(size=len(left))
    return np.asarray(
        scipy.sparse.linalg.eigs(
            operator, LEADING, v0=start, ncv=BASIS, tol=1e-6, return_eigenvectors=False, maxiter=20
        )
    )


def _filled(product: Table) -> np.ndarray:
    """Return a product of tables as an array, of whatever kind of sparse matrix it is."""
    return product if isinstance(product, np.ndarray) else np.asarray(product.toarray())


class Bordered:
    """The derivative with a row that fixes the place along the path, factorized: S + 1 unknowns.

    Attributes
    ----------
    sign, log_determinant : float
        Of the determinant, which changes its sign at branch points and not at folds (Proposition 19.3).
    """

    def __init__(self, linear: Linearization, row: tuple[np.ndarray, float]) -> None:
        size = len(linear.own)
        matrix = np.empty((size + 1, size + 1))
        matrix[:size, :size] = linear.own + linear.response
        matrix[np.arange(size), np.arange(size)] -= 1.0
        matrix[:size, size] = linear.strength
        matrix[size, :size], matrix[size, size] = row
        if not np.isfinite(matrix).all():
            raise np.linalg.LinAlgError("an entry that is not finite")
        self.linear, self.row = linear, row
        lower_upper, pivots, singular = scipy.linalg.lapack.dgetrf(matrix, overwrite_a=True)
        if singular:
            raise np.linalg.LinAlgError("singular")
        self.factors = lower_upper, pivots
        swaps = np.count_nonzero(self.factors[1] != np.arange(size + 1))
        diagonal = np.diag(self.factors[0])
        self.sign = -1.0 if (swaps + np.count_nonzero(diagonal < 0.0)) % 2 else 1.0
        with np.errstate(divide="ignore"):
            self.log_determinant = float(np.log(np.abs(diagonal)).sum())

    def reversed(self) -> Bordered:
        """Return the same with the row in the other direction."""
        return Bordered(self.linear, (-self.row[0], -self.row[1]))

    def tangent(self) -> tuple[np.ndarray, float]:
        """Return the direction (d mu, d log tau) of the path in which the row is positive, of length 1."""
        right = np.zeros(len(self.linear.own) + 1)
        right[-1] = 1.0
        found = scipy.linalg.lu_solve(self.factors, right)
        mean_field = self.linear.place.mean_field
        size = length(mean_field, self.linear.direction(found[:-1], float(found[-1])))
        return found[:-1] / size, float(found[-1] / size)

    def step(
        self, gaps: tuple[np.ndarray, np.ndarray], missing: np.ndarray | None = None, ahead: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return Newton's step in mean field, values and log-strength.

        Parameters
        ----------
        gaps : tuple of two ndarrays
            F_1 and F_2.
        missing : ndarray, shape (S, A), optional
            What grad h + q misses to be constant where the policy is an unknown of its own.
        ahead : float
            By how much the row is to change.
        """
        linear = self.linear
        gap, by_value = linear.reduced(gaps, missing)
        right = np.append(-gap, ahead)
        found = scipy.linalg.lu_solve(self.factors, right)
        d_mean_field, d_log_strength = found[:-1], float(found[-1])
        d_value = linear.value_slope @ d_mean_field + d_log_strength * linear.value_strength + by_value
        return d_mean_field, d_value, d_log_strength
