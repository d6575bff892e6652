"""Games as environments of MFGLib: finite horizon, the discount folded into the rewards; and the way back.

See docs/theory, sections 16.1, 16.5 and 16.7. MFGLib: X. Guo et al., *MFGLib: a library for mean-field games*,
arXiv:2304.08630. It computes with PyTorch, on tensors of PyTorch's default type.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from pma_mfg import arrays
from pma_mfg.arrays import TOLERANCE, floats, probabilities
from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import Features
from pma_mfg.games.files import from_functions
from pma_mfg.games.functions import Game, sample_mean_fields
from pma_mfg.interop import stationarity

try:
    import torch
    from mfglib.env import Environment
    from mfglib.policy import Policy
except ImportError as error:
    raise ImportError('pma_mfg.interop.mfglib needs MFGLib and PyTorch: pip install "pma-mfg[mfglib]"') from error


def environment(game: Game, horizon: int, mean_field: np.ndarray | None = None) -> Environment:
    """Return the game of the times 0..T, with rewards gamma^t R, as an environment of MFGLib.

    At the stable population of a stationary policy the two libraries' exploitabilities differ by at most
    gamma^(T+1) sp(R) / (1 - gamma) (docs/theory, Proposition 16.1). There is no regularizer: MFGLib's rewards do not
    depend on the policy. All methods of MFGLib work on it, those by gradients too: first derivatives in the mean field
    are the library's own.

    Parameters
    ----------
    game : Game
        A sparse one is made dense.
    horizon : int
        T >= 1: 400 for gamma = 0.9 leaves nothing in double precision.
    mean_field : ndarray, shape (S,), optional
        mu_0, uniform by default.

    Returns
    -------
    mfglib.env.Environment
        One axis for states, one for actions.

    Raises
    ------
    InputError
        If PyTorch's default type is not float64, the horizon is not an integer >= 1, the mean field is no probability
        vector, or a sparse game is too large to be made dense.

    Examples
    --------
    >>> import torch
    >>> from pma_mfg import games
    >>> torch.set_default_dtype(torch.float64)
    >>> environment(games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0), 400).S
    (3,)
    """
    source = "interop.mfglib.environment"
    _double_precision(source)
    if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
        raise InputError(source, "horizon", horizon, "an integer >= 1")
    game = game.dense(source)
    size = game.n_states
    start = np.full(size, 1.0 / size)
    if mean_field is not None:
        start = np.maximum(probabilities(mean_field, (size,), source, field="mean_field"), 0.0)

    def transition(env: Environment, t: int, L_t: torch.Tensor) -> torch.Tensor:
        return _table(game, "transition", L_t).movedim(2, 0)  # MFGLib's axes: next state, state, action

    def reward(env: Environment, t: int, L_t: torch.Tensor) -> torch.Tensor:
        return game.discount**t * _table(game, "reward", L_t)

    return Environment(
        T=int(horizon),
        S=(size,),
        A=(game.n_actions,),
        mu0=torch.tensor(start),
        r_max=_largest_reward(game),
        reward_fn=reward,
        transition_fn=transition,
    )


def policy(probabilities: np.ndarray) -> Policy:
    """Return a stationary policy, shape (S, A), as a policy of MFGLib: the same at all times.

    `policy(pi).build(env)` is the tensor, shape (T + 1, S, A), that MFGLib's functions take. What is no policy is
    refused with the row and by how much.
    """
    source = "interop.mfglib.policy"
    given = arrays.floats(probabilities, source, "probabilities")
    checked = arrays.probabilities(given, given.shape, source, field="probabilities")
    return Policy.stationary(arrays.contiguous(checked), dtype=torch.float64)


def stationary_policy(
    policy: Any, game: Game, *, environment: Environment | None = None, time: int | None = None
) -> np.ndarray:
    """Return a policy of MFGLib, which may change with time, as a policy of a game, (S, A).

    Parameters
    ----------
    policy : torch.Tensor, array_like or mfglib.policy.Policy
        Of shape (T + 1, S, A), or what an algorithm of MFGLib returns; states or actions of several dimensions are put
        in a row, the last one fastest. MFGLib has no labels: states and actions are matched by their numbers.
    game : Game
    environment : mfglib.env.Environment, optional
        Needed for a `Policy`, and used for the shape where states or actions have several dimensions.
    time : int, optional
        Whose rule to take, from 0; without it the policy must not change with time.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        For another shape, a time that there is not, a policy that changes with time where no time is given (when and by
        how much), or a row that is no distribution.
    """
    source, one = "interop.mfglib.stationary_policy", (game.n_states, game.n_actions)
    if isinstance(policy, Policy):
        if environment is None:
            raise InputError(source, "environment", Description("nothing"), "the environment of the policy")
        policy = policy.build(environment)
    given = floats(policy.detach().cpu().numpy() if isinstance(policy, torch.Tensor) else policy, source, "policy")
    if environment is not None and given.shape[1:] == (*environment.S, *environment.A):
        given = given.reshape(len(given), math.prod(environment.S), math.prod(environment.A))
    if given.ndim != 3 or given.shape[1:] != one or not len(given):
        allowed = f"shape (T + 1, {one[0]}, {one[1]})"
        raise InputError(source, "policy", Description(f"shape {tuple(given.shape)}"), allowed)
    if time is not None and (isinstance(time, bool) or time not in range(len(given))):
        raise InputError(source, "time", time, f"a time from 0 to {len(given) - 1}")
    change = np.zeros((1, 1)) if time is not None else np.abs(given - given[0]).max(axis=2)
    if change.max() > TOLERANCE:
        t, s = np.unravel_index(int(change.argmax()), change.shape)
        told = Description(f"another rule than at time 0 in state {s}, by {change[t, s]:.2g}")
        raise InputError(source, f"policy at time {t}", told, "the same at all times, or `time`")
    return probabilities(given[time or 0], one, source, field="policy")


def stationary_game(environment: Environment, discount: float) -> Game:
    """Return an environment of MFGLib as a game, if its dynamics are the same at all times.

    Rewards that are the same at all times are taken as R, and those that fall as discount^t as gamma^t R
    (docs/theory, section 16.7): of what `environment` returns the game comes back.

    Parameters
    ----------
    environment : mfglib.env.Environment
        T >= 1; states or actions of several dimensions are put in a row, the last one fastest. It may depend on the law
        of state and action through the states only.
    discount : float
        gamma, in [0, 1). MFGLib's environments have none.

    Returns
    -------
    MeanFieldGame or FunctionGame
        With features if they are recognized in the tables. States and actions of several dimensions have their indices
        as labels.

    Raises
    ------
    InputError
        If tables change with time, or with the actions of the population (which entry, when, by how much), or
        PyTorch's default type is not float64.
    """
    source, T = "interop.mfglib.stationary_game", environment.T
    _double_precision(source)
    if not 0.0 <= discount < 1.0:
        raise InputError(source, "discount", discount, "a number in [0, 1)")
    if T < 1:
        raise InputError(source, "environment", Description(f"T = {T}"), "T >= 1: there are no times to compare")
    size, width = math.prod(environment.S), math.prod(environment.A)
    uniform = np.full((size, width), 1.0 / width)
    other = np.random.default_rng(0).dirichlet(np.ones(width), size=size)

    def tables(time: int, mean_field: np.ndarray, played: np.ndarray = uniform) -> tuple[np.ndarray, np.ndarray]:
        joint = torch.tensor(mean_field[:, None] * played).reshape(*environment.S, *environment.A)
        transition = environment.prob(time, joint).detach().numpy().reshape(size, size, width)
        reward = environment.reward(time, joint).detach().numpy()
        # MFGLib's rewards may lack an axis along which they are the same
        reward = np.broadcast_to(reward, (*environment.S, *environment.A)).reshape(size, width)
        return np.moveaxis(transition, 0, 2).astype(float), reward.astype(float)

    named = _names(environment.S), _names(environment.A)
    visits = [(point, range(T + 1)) for point in stationarity.points(size)]
    stationarity.folded(tables, visits, discount, source=source, labels=named)  # at time 0 the factor is 1
    for point, _ in visits:
        for one, two in zip(tables(0, point), tables(0, point, other), strict=True):
            change = np.abs(one - two)
            if change.max() > TOLERANCE * max(1.0, np.abs(one).max()):
                s, a = np.unravel_index(int(change.argmax()), change.shape)[:2]
                told = Description(f"a change by {change.max():.2g} with the population's actions")
                raise InputError(source, f"state {named[0][s]}, action {named[1][a]}", told, "none: mu only")
    several = len(environment.S) > 1, len(environment.A) > 1
    return from_functions(
        lambda mean_field: tables(0, mean_field)[0],
        lambda mean_field: tables(0, mean_field)[1],
        discount,
        n_states=size,
        state_labels=named[0] if several[0] else (),
        action_labels=named[1] if several[1] else (),
    )


def _names(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the indices of all places of a shape as texts, the last one fastest."""
    return tuple(", ".join(map(str, place)) for place in itertools.product(*map(range, shape)))


def _double_precision(source: str) -> None:
    """Raise an error unless PyTorch's default type is float64."""
    if torch.get_default_dtype() != torch.float64:
        allowed = "torch.float64, by torch.set_default_dtype(torch.float64)"
        raise InputError(source, "PyTorch's default type", Description(torch.get_default_dtype()), allowed)


def _table(game: Game, kind: str, joint: torch.Tensor) -> torch.Tensor:
    """Return the game's `transition` or `reward` at the law of state and action, (S, A), with its first derivative."""
    mean_field = joint.sum(dim=1) / joint.sum()  # MFGLib never renormalizes
    frozen = mean_field.detach()
    here = frozen.numpy()
    table = torch.tensor(getattr(game, kind)(here))
    if not mean_field.requires_grad:
        return table
    local = game.linearized(here)
    features: Features = getattr(local, f"{kind}_features")
    change = torch.tensor(features.gradients(here)) @ (mean_field - frozen)  # 0, with the features' derivative
    return table + torch.tensordot(change, torch.tensor(getattr(local, f"{kind}_terms")), dims=1)


def _largest_reward(game: Game) -> float:
    """Return a bound of |R|; of a game given by functions, which has none, the largest at some mean fields."""
    if not game.has_features:
        return max(float(np.abs(game.reward(mean_field)).max()) for mean_field in sample_mean_fields(game.n_states))
    largest = np.abs(game.reward_features.ranges()).max(axis=0)
    return float((np.abs(game.base_reward) + np.tensordot(largest, np.abs(game.reward_terms), axes=1)).max())
