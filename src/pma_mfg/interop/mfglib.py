"""Games as environments of MFGLib: finite horizon, the discount folded into the rewards.

Docs/theory.md, section 16.1. MFGLib: X. Guo et al., *MFGLib: a library for mean-field games*, arXiv:2304.08630. It
computes with PyTorch, on tensors of PyTorch's default type.
"""

from __future__ import annotations

import numpy as np

from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import Features, MeanFieldGame, to_dense

try:
    import torch
    from mfglib.env import Environment
    from mfglib.policy import Policy
except ImportError as error:
    raise ImportError('pma_mfg.interop.mfglib needs MFGLib and PyTorch: pip install "pma-mfg[mfglib]"') from error


def environment(game: MeanFieldGame, horizon: int, mean_field: np.ndarray | None = None) -> Environment:
    """Return the game of the times 0..T, with rewards gamma^t R, as an environment of MFGLib.

    At the stable population of a stationary policy the two libraries' exploitabilities differ by at most
    gamma^(T+1) sp(R) / (1 - gamma) (docs/theory.md, Proposition 16.1). There is no regularizer: MFGLib's rewards do not
    depend on the policy. All methods of MFGLib work on it, those by gradients too: first derivatives in the mean field
    are the library's own.

    Parameters
    ----------
    game : MeanFieldGame
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
    if torch.get_default_dtype() != torch.float64:
        allowed = "torch.float64, by torch.set_default_dtype(torch.float64)"
        raise InputError(source, "PyTorch's default type", Description(torch.get_default_dtype()), allowed)
    if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
        raise InputError(source, "horizon", horizon, "an integer >= 1")
    game = game.dense(source)
    size = game.n_states
    start = np.full(size, 1.0 / size) if mean_field is None else np.array(mean_field, dtype=float)
    if start.shape != (size,) or not (start >= 0.0).all() or abs(start.sum() - 1.0) > 1e-9:
        raise InputError(source, "mean_field", start.tolist(), f"{size} probabilities that sum to 1")
    # MFGLib's axes: next state, state, action
    base, terms = (torch.tensor(np.moveaxis(of, -1, -3)) for of in (game.base_transition, game.transition_terms))
    base_reward, reward_terms = torch.tensor(game.base_reward), torch.tensor(game.reward_terms)

    def transition(env: Environment, t: int, L_t: torch.Tensor) -> torch.Tensor:
        return base + torch.tensordot(_features(game.transition_features, L_t), terms, dims=1)

    def reward(env: Environment, t: int, L_t: torch.Tensor) -> torch.Tensor:
        change = torch.tensordot(_features(game.reward_features, L_t), reward_terms, dims=1)
        return game.discount**t * (base_reward + change)

    largest = np.abs(game.reward_features.ranges()).max(axis=0)
    return Environment(
        T=int(horizon),
        S=(size,),
        A=(game.n_actions,),
        mu0=torch.tensor(start),
        r_max=float((np.abs(game.base_reward) + np.tensordot(largest, np.abs(game.reward_terms), axes=1)).max()),
        reward_fn=reward,
        transition_fn=transition,
    )


def policy(probabilities: np.ndarray) -> Policy:
    """Return a stationary policy, shape (S, A), as a policy of MFGLib: the same at all times.

    `policy(pi).build(env)` is the tensor, shape (T + 1, S, A), that MFGLib's functions take.
    """
    return Policy.stationary(np.asarray(probabilities, dtype=float), dtype=torch.float64)


def _features(features: Features, joint: torch.Tensor) -> torch.Tensor:
    """Return phi(mu), shape (K,), of the law of state and action, shape (S, A), with the first derivative in it."""
    mean_field = joint.sum(dim=1) / joint.sum()  # MFGLib never renormalizes
    frozen = mean_field.detach()
    values = torch.tensor(features.values(frozen.numpy()))
    if not mean_field.requires_grad:
        return values
    return values + torch.tensor(to_dense(features.gradients(frozen.numpy()))) @ (mean_field - frozen)
