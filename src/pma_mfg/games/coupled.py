"""Games with a planted equilibrium and a chosen strength of the coupling between the agents.

The spectral radius of the best response's Jacobian at the equilibrium is known in closed form (docs/theory, section
6.5). Games that differ in this radius alone have the same equilibrium and the same transitions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from pma_mfg.errors import InputError
from pma_mfg.games.features import LINKS, Features
from pma_mfg.games.model import MeanFieldGame, Planted
from pma_mfg.games.registry import AT_LEAST_ZERO, POSITIVE, Range, family

#: The ways in which the mean field can act, the signs of the leading eigenvalue, and the links.
CHANNELS, SIGNS, COUPLING_LINKS = ("rewards", "dynamics"), ("averse", "seeking"), ("identity", "absolute", "power")

#: Concentration of the Dirichlet laws of the states within a group that an action leads to.
TARGET_CONCENTRATION = 0.5

#: Share of the uniform law in the transitions of an agent that moves. The rest is what actions decide; half and half
#: gives the dynamics the most room (docs/theory, section 6.5).
UNIFORM_SHARE = 0.5

#: Share of 1 - delta, delta the Dobrushin coefficient of P*, that the dependence of the transitions on the mean field
#: may add to L_pop, so that L_pop < 1 (Assumption 2). At least a tenth of every transition's probability at the
#: equilibrium then remains at every mean field (Assumption 4).
LARGEST_USE = 0.9

#: Logits of the planted policy are drawn uniformly from [-LOGIT, LOGIT].
LOGIT = 1.0

#: Largest difference between the values of the two groups of states, in units of the strength. The larger it is, the
#: more transitions matter, and the noisier TD learning is.
LARGEST_GAP = 90.0

#: Size of the kink of the link `absolute`, in units of the smooth coupling along the leading direction.
KINK_SHARE = 0.5

#: Exponent of the link `power`.
EXPONENT = 2.0

#: In `planted_rare`: an action multiplies the probability of a state to go to by 1 minus to 1 plus this.
STEERING = 0.5

#: A share of what each state, or action, would have if all had the same.
SHARE = Range(lambda x: 0 < x <= 1, "a number in (0, 1]")


@family(
    strength=POSITIVE,
    best_response_radius=AT_LEAST_ZERO,
    channel=Range(lambda x: x in CHANNELS, f"one of {', '.join(CHANNELS)}"),
    sign=Range(lambda x: x in SIGNS, f"one of {', '.join(SIGNS)}"),
    link=Range(lambda x: x in COUPLING_LINKS, f"one of {', '.join(COUPLING_LINKS)}"),
    stay=Range(lambda x: 0 <= x < 1, "a number in [0, 1)"),
)
def planted_coupled(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    strength: float,
    best_response_radius: float,
    channel: str = "rewards",
    sign: str = "averse",
    link: str = "identity",
    stay: float = 0.0,
) -> MeanFieldGame:
    """Return a game with a known equilibrium and a chosen strength of the coupling between the agents.

    The Jacobian of the best response at the equilibrium has real eigenvalues of one sign, and `best_response_radius`
    is its spectral radius, in closed form. Games that differ in the radius alone have the same equilibrium and the same
    transitions (docs/theory, section 6.5).

    Parameters
    ----------
    n_states, n_actions, discount, seed
        As in `affine`.
    strength : float
        tau > 0, the entropy weight of the planted equilibrium. Rewards are proportional to it, and not in [0, 1].
    best_response_radius : float
        r(J_inf) >= 0. There is a largest possible one with channel "dynamics"; with one state or one action it is 0.
    channel : str
        "rewards": a state is worth less (or more) the more agents are in it, and transitions do not depend on the mean
        field. "dynamics": the more agents are in the first half of the states, the less an action decides in which half
        an agent goes on. This half is worth more (or less) than the other, and the more so the larger the radius;
        rewards do not depend on the mean field.
    sign : str
        "averse": the eigenvalues are negative. "seeking": they are positive.
    link : str
        "identity": affine in the mean field. "absolute": affine, and a kink at the equilibrium, on both sides of which
        the radius is the same. "power": squares of shares plus a constant, which is smooth and curved.
    stay : float
        Probability in [0, 1) that an agent stays where it is whatever it does. The second eigenvalue of its chain is
        stay + (1 - stay) times that without.

    Returns
    -------
    MeanFieldGame
        With `planted` set.

    Raises
    ------
    InputError
        If the radius is larger than possible; the largest possible one is said.
    """
    draw = _draw(n_states, n_actions, discount, seed, strength, stay)
    through = _through_rewards if channel == "rewards" else _through_dynamics
    return through(draw, link, best_response_radius if sign == "seeking" else -best_response_radius)


@family(
    strength=POSITIVE,
    best_response_radius=AT_LEAST_ZERO,
    rare_state=SHARE,
    rare_action=SHARE,
    value=AT_LEAST_ZERO,
)
def planted_rare(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    strength: float,
    best_response_radius: float,
    rare_state: float = 0.5,
    rare_action: float = 0.5,
    value: float = 0.2,
) -> MeanFieldGame:
    """Return a game at whose known equilibrium one state and one action are as rare as asked for.

    Nothing is random. The equilibrium plays the first action with probability rare_action / A in every state, and the
    first state has the share rare_state / S of the population; the others share the rest evenly. So S, A, gamma, the
    least probability of an action and that of a state are set one by one. Agents avoid each other through their
    rewards, as in `planted_coupled`, and `best_response_radius` is reached in closed form (docs/theory, section 6.6).

    Parameters
    ----------
    n_states, n_actions, discount
        As in `affine`.
    strength : float
        tau > 0, the entropy weight of the planted equilibrium. Rewards are proportional to it, and not in [0, 1].
    best_response_radius : float
        r(J_inf) >= 0 at the equilibrium; with one state or one action it is 0.
    rare_state : float
        Share of the first state in the population, in units of 1 / S, in (0, 1].
    rare_action : float
        Probability of the first action, in units of 1 / A, in (0, 1].
    value : float
        Values of the states at the equilibrium lie within plus and minus this many strengths, >= 0.

    Returns
    -------
    MeanFieldGame
        With `planted` set.
    """
    mean_field, actions = _with_rare_first(n_states, rare_state), _with_rare_first(n_actions, rare_action)
    policy = np.tile(actions, (n_states, 1))
    where, which = _alternating(mean_field), _alternating(actions)
    # the same from every state: where an agent goes depends on its action alone, and on average is drawn from mu*
    transition = np.tile(mean_field * (1.0 + STEERING * which[:, None] * where), (n_states, 1, 1))
    draw = _Draw(
        discount=discount,
        strength=strength,
        transition=transition,
        delta=STEERING,
        policy=policy,
        mean_field=mean_field,
        value=value * strength * where,
        group=(np.arange(n_states) < n_states // 2).astype(float),
        long_run=transition,  # the fundamental matrix is the identity
        steering=transition - mean_field,
        across=np.tile(which, (n_states, 1)),
    )
    return _through_rewards(draw, "identity", -best_response_radius)


def _with_rare_first(count: int, share: float) -> np.ndarray:
    """Return probabilities of which the first is so much of an even share, and all others are equal."""
    if count == 1:
        return np.ones(1)
    first = share / count
    return np.array([first] + [(1.0 - first) / (count - 1)] * (count - 1))


def _alternating(law: np.ndarray) -> np.ndarray:
    """Return numbers that alternate, have the mean zero under a law, and at most the absolute value 1."""
    numbers = np.where(np.arange(len(law)) % 2 == 0, 1.0, -1.0)
    numbers -= law @ numbers
    largest = np.abs(numbers).max()
    return np.asarray(numbers / largest) if largest > 0.0 else numbers


@dataclass(frozen=True)
class _Draw:
    """What games that differ in their coupling alone have in common.

    Parameters
    ----------
    discount, strength : float
        gamma and tau.
    transition : ndarray, shape (S, A, S)
        P*, at the equilibrium.
    delta : float
        Bound on the Dobrushin coefficient of P*, attained where nobody stays.
    policy, mean_field, value : ndarray, shapes (S, A), (S,) and (S,)
        pi*, mu* and V.
    group : ndarray, shape (S,)
        1 for the states of the first group, 0 for those of the second.
    long_run : ndarray, shape (S, A, S)
        P* Z with the fundamental matrix Z: where an action leads in the long run, up to a constant.
    steering : ndarray, shape (S, A, S)
        F: the same less its mean over pi*.
    across : ndarray, shape (S, A)
        A random advantage: its mean over pi* is zero.
    """

    discount: float
    strength: float
    transition: np.ndarray
    delta: float
    policy: np.ndarray
    mean_field: np.ndarray
    value: np.ndarray
    group: np.ndarray
    long_run: np.ndarray
    steering: np.ndarray
    across: np.ndarray

    def product(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the mean of x y over the pairs of the equilibrium, (J, K) for x of (S, A, J) and y of (S, A, K)."""
        weights = self.mean_field[:, None] * self.policy
        return np.asarray(np.tensordot(weights[..., None] * one, other, axes=([0, 1], [0, 1])))

    def kink(self, along: np.ndarray, smooth: np.ndarray) -> np.ndarray:
        """Return an advantage orthogonal to `along`, as large as `smooth` up to `KINK_SHARE`; all (S, A, 1)."""
        across, square = self.across[..., None], self.product(along, along).item()
        rest = across - self.product(across, along) / square * along if square > 0.0 else across
        size = self.product(rest, rest).item()
        return KINK_SHARE * np.sqrt(self.product(smooth, smooth) / size) * rest if size > 0.0 else rest


def _draw(n_states: int, n_actions: int, discount: float, seed: int, strength: float, stay: float) -> _Draw:
    # Imported here: operators are to the right of games, and only planting an equilibrium needs a stable population.
    from pma_mfg import operators

    rng = np.random.default_rng([seed, 3])
    group = (np.arange(n_states) < n_states // 2).astype(float)
    # every other action leads to the first group, the others to the second, each to states of its own
    targets = rng.gamma(TARGET_CONCENTRATION, size=(n_states, n_actions, n_states))
    first = (np.arange(n_actions)[:, None] % 2 == 0) & (n_states > 1)
    targets *= np.where(first, group, 1.0 - group)
    targets /= targets.sum(axis=2, keepdims=True)
    moves = UNIFORM_SHARE / n_states + (1.0 - UNIFORM_SHARE) * targets
    transition = stay * np.eye(n_states)[:, None] + (1.0 - stay) * moves
    policy = scipy.special.softmax(rng.uniform(-LOGIT, LOGIT, size=(n_states, n_actions)), axis=1)
    value = strength * rng.uniform(-1.0, 1.0, size=n_states)
    across = rng.uniform(-1.0, 1.0, size=(n_states, n_actions))
    frozen = MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=np.zeros((n_states, n_actions)),
        transition_terms=np.zeros((0, *transition.shape)),
        transition_features=Features.none(n_states),
        reward_terms=np.zeros((0, n_states, n_actions)),
        reward_features=Features.none(n_states),
    )
    mean_field = operators.stable_population(frozen, policy)
    kernel = operators.policy_kernel(transition, policy)
    long_run = transition @ np.linalg.inv(np.eye(n_states) - kernel + mean_field)
    return _Draw(
        discount=discount,
        strength=strength,
        transition=transition,
        delta=stay + (1.0 - stay) * (1.0 - UNIFORM_SHARE),
        policy=policy,
        mean_field=mean_field,
        value=value,
        group=group,
        long_run=long_run,
        steering=long_run - np.einsum("sa,say->sy", policy, long_run)[:, None],
        across=across - (policy * across).sum(axis=1, keepdims=True),
    )


def _through_rewards(draw: _Draw, link: str, eigenvalue: float) -> MeanFieldGame:
    """Return the game whose rewards depend on mu; the best response's Jacobian has this leading eigenvalue."""
    each = np.eye(len(draw.mean_field))
    variances, directions = np.linalg.eigh(draw.product(draw.steering, draw.steering))
    leading = directions[:, [-1]]
    along = draw.steering @ leading
    terms = np.moveaxis(each[:, None] + (1.0 - draw.discount) * draw.long_run, 2, 0)
    kink = draw.kink(along, along)[None, ..., 0]
    features, terms = _with_link(link, draw.mean_field, each, terms, leading.T, kink)
    if eigenvalue == 0.0:
        return _game(draw, 0.0, reward=(features, terms))
    if min(draw.policy.shape) == 1:
        raise _too_large(eigenvalue, 0.0, "with one state or one action")
    return _game(draw, eigenvalue * draw.strength / float(variances[-1]), reward=(features, terms))


def _through_dynamics(draw: _Draw, link: str, eigenvalue: float) -> MeanFieldGame:
    """Return the game whose transitions depend on the mean field; `eigenvalue` as in `_through_rewards`."""
    # mass moves from the first group to the second
    toward = (1.0 - draw.group) / (1.0 - draw.group).sum() - draw.group / max(draw.group.sum(), 1.0)
    along = draw.steering @ draw.group[:, None]
    sizes = np.abs(along).max(axis=1, keepdims=True)
    pattern = along / np.where(sizes > 0.0, sizes, 1.0)  # the same room is taken in every state
    weights, kink = draw.group[None], draw.kink(along, pattern)
    tables = ((table * toward)[None] for table in (pattern, kink))
    features, terms = _with_link(link, draw.mean_field, weights, next(tables), weights, next(tables))
    scale = _largest_scale(draw, features, terms)
    per_gap = draw.discount * scale * draw.product(along, pattern).item()
    if abs(eigenvalue) > per_gap * LARGEST_GAP:
        why = (
            f"with values {LARGEST_GAP:g} strengths apart, L_pop < 1 and transitions that are probabilities everywhere"
        )
        raise _too_large(eigenvalue, per_gap * LARGEST_GAP, why)
    gap = -eigenvalue / per_gap if eigenvalue else 0.0
    value = draw.value + (draw.strength * gap + float(toward @ draw.value)) * (draw.group - 0.5)
    return _game(replace(draw, value=value), scale, transition=(features, terms))


def _with_link(
    link: str, mean_field: np.ndarray, weights: np.ndarray, terms: np.ndarray, along: np.ndarray, kink: np.ndarray
) -> tuple[Features, np.ndarray]:
    """Return features phi and tables T for which sum_k (phi_k - phi_k(mu*)) T_k is the coupling with a link.

    Without the kink its derivative at mu* is sum_k <weights_k, d mu> terms_k whatever the link.

    Parameters
    ----------
    link : str
    mean_field : ndarray, shape (S,)
        mu*.
    weights : ndarray, shape (K, S)
    terms : ndarray, shape (K, ...)
    along : ndarray, shape (1, S)
        The direction that has the kink, if the link has one.
    kink : ndarray, shape (1, ...)
        What |<along, mu - mu*>| is multiplied by.

    Returns
    -------
    Features
    terms : ndarray, shape (K, ...), or (K + 1, ...) with a kink
    """
    if link == "power":
        offsets = weights.max(axis=1)  # arguments between this and twice this: far from the link's kink at 0
        features = Features.build(weights, offsets, "power", parameter=EXPONENT)
        slopes = EXPONENT * features.arguments(mean_field) ** (EXPONENT - 1.0)
        return features, terms / slopes.reshape(-1, *[1] * (terms.ndim - 1))
    if link == "absolute":
        weights, terms = np.vstack([weights, along]), np.concatenate([terms, kink])
    features = Features.build(weights, -(mean_field @ weights.T))
    if link == "absolute":
        features.links[-1] = LINKS.index("absolute")
    return features, terms


def _game(
    draw: _Draw,
    scale: float,
    reward: tuple[Features, np.ndarray] | None = None,
    transition: tuple[Features, np.ndarray] | None = None,
) -> MeanFieldGame:
    """Return the game with a coupling, times `scale`, in its rewards or its transitions; it vanishes at mu*."""
    none = Features.none(len(draw.mean_field))
    moves, transition_terms = transition or (none, np.zeros((0, *draw.transition.shape)))
    pays, reward_terms = reward or (none, np.zeros((0, *draw.policy.shape)))
    transition_terms, reward_terms = scale * transition_terms, scale * reward_terms
    at_equilibrium = draw.strength * np.log(draw.policy) + draw.value[:, None]
    at_equilibrium = at_equilibrium - draw.discount * draw.transition @ draw.value
    return MeanFieldGame(
        discount=draw.discount,
        base_transition=draw.transition - np.tensordot(moves.values(draw.mean_field), transition_terms, axes=1),
        base_reward=at_equilibrium - np.tensordot(pays.values(draw.mean_field), reward_terms, axes=1),
        transition_terms=transition_terms,
        transition_features=moves,
        reward_terms=reward_terms,
        reward_features=pays,
        planted=Planted(draw.policy, draw.mean_field, draw.strength),
    )


def _largest_scale(draw: _Draw, features: Features, terms: np.ndarray) -> float:
    """Return the factor of the transitions' coupling at which it adds `LARGEST_USE` of 1 - delta to L_pop (6.6)."""
    low, high = (end - features.values(draw.mean_field) for end in features.ranges())
    steepness = 0.5 * features.link_lipschitz() * np.ptp(features.weights, axis=1)  # adds to K_mu
    farthest = np.maximum(high, -low)  # adds to delta
    added = float(np.abs(terms).sum(axis=3).max(axis=(1, 2)) @ (steepness + farthest))
    return LARGEST_USE * (1.0 - draw.delta) / added if added > 0.0 else 0.0


def _too_large(eigenvalue: float, largest: float, why: str) -> InputError:
    allowed = f"a number from 0 to {np.floor(largest * 1e6) / 1e6:.6f}, the largest possible {why}"
    return InputError("games.make", "best_response_radius", abs(eigenvalue), allowed)
