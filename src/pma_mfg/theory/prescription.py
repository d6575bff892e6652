"""The schedule that the theorem prescribes for a game (docs/theory, section 10)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer, kind
from pma_mfg.theory import certificates, invariant_sets, lipschitz

#: Least action probability that `theorem_schedule` can turn into a number of samples.
MIN_PROBABILITY = 1e-44

#: Most epochs that `theorem_schedule` considers.
MAX_EPOCHS = 100_000

#: Samples of a run are counted in 64 bits, in tables and in the simulator.
MAX_SAMPLES = 2.0**63

#: What messages name as their origin.
SOURCE = "prescription.theorem_schedule"

TINY = float(np.finfo(float).tiny)


def theorem_schedule(game: MeanFieldGame, regularizer: Regularizer, step_size: float, *, epsilon: float) -> Schedule:
    """Return the cheapest schedule that provably reaches E sup_s ||pi_K - pi*||_1 <= epsilon + O(1/sqrt(N)).

    For `centralized` from the uniform policy, without a floor. Every constant is the game's own, the derivation
    docs/theory, section 10. With L, e_0 and nu of `theory.certificates.noisy_contraction`, the range G of Q and
    sigma, half that of a target given its pair, of `theory.invariant_sets.noisy_set`, the least visit probability d,
    alpha = (1 - gamma) d, theta = 1 - b (1 - gamma) / 2 and free b in (0, 1], x in (0, 1) and K,

        epsilon_q = (epsilon - L^K e_0) (1 - L) / (nu (1 - L^K)),     c = 1 / (theta alpha),     m_0 = c / b,
        M_mix = log(3 G c / (x epsilon_q)) / log(1 / L_pop),          Q_0 the middle of the range of Q,
        M_td = max(c^2 (sigma^2 + 4 G^2 L_pop^M_mix), m_0 S A G^2 / 4) / ((1 - x) epsilon_q)^2 - m_0.

    The number of samples is minimized over K and grids of b and x.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        The entropy: the quadratic does not keep every action's probability positive (Assumption 3).
    step_size : float
        eta > 0.
    epsilon : float
        > 0.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        If an assumption of the theorem fails for this game, or there are 2^63 samples or more; the message says which.
    """
    return theorem_schedules(game, regularizer, step_size)(epsilon)


def population_contraction(game: MeanFieldGame, regularizer: Regularizer) -> float:
    """Return L_pop, or refuse a game for which the theorem prescribes nothing, whatever the regularizer's strength.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer

    Returns
    -------
    float

    Raises
    ------
    InputError
        As `theorem_schedule`.
    """
    if kind(regularizer) != "entropy":
        raise InputError(SOURCE, "regularizer", regularizer, "the entropy (Assumption 3, persistence of excitation)")
    kinds = (lipschitz.kind_of(features) for features in (game.transition_features, game.reward_features))
    if lipschitz.weaker(*kinds) != "exact":
        told = Description("constants that are not exact")
        raise InputError(
            SOURCE, "game", told, "a game affine in the mean field (the bias of TD learning is bounded there)"
        )
    L_pop = lipschitz.constants(game.without_rewards()).L_pop
    if not L_pop < 1.0:
        raise InputError(SOURCE, "L_pop", L_pop, "a constant < 1 (Assumption 2, stable population)")
    return L_pop


def theorem_schedules(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> Callable[[float], Schedule]:
    """Return epsilon -> `theorem_schedule`: the constants of the game, most of its cost, are the same for all.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    step_size : float
        eta > 0.

    Returns
    -------
    callable
        It raises what `theorem_schedule` does.
    """
    of_game = cache(lambda: _cheapest(game, regularizer, step_size))

    def schedule(epsilon: float) -> Schedule:
        if not epsilon > 0.0:
            raise InputError(SOURCE, "epsilon", epsilon, "a number > 0")
        return of_game()(epsilon)

    return schedule


def _cheapest(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> Callable[[float], Schedule]:
    """Return epsilon -> the schedule with the fewest samples, or refuse a game that fails an assumption."""
    L_pop = population_contraction(game, regularizer)
    noisy = invariant_sets.noisy_set(game, regularizer)
    contraction, start, noise = certificates.noisy_contraction(game, regularizer, step_size, noisy=noisy)
    if not contraction < 1.0:
        raise InputError(SOURCE, "L_Gamma_eta", contraction, "a bound < 1 (the game's contraction is not certified)")
    least_action = float(noisy.policies.least.min())
    if not least_action >= MIN_PROBABILITY:
        raise InputError(
            SOURCE, "p_inf", least_action, f"at least {MIN_PROBABILITY:g} (Assumption 3), or samples cannot be counted"
        )
    least = float((noisy.policies.least_mean_field * noisy.policies.least).min())
    if not least > 0.0:
        raise InputError(SOURCE, "delta_mix", least, "a positive bound (Assumption 4, sufficient mixing)")
    if game.n_actions == 1:
        return lambda epsilon: Schedule(1, 1, 1, step_size, 1.0, 1.0, 0.5 * (noisy.low + noisy.high))
    alpha, q_range = (1.0 - game.discount) * least, noisy.high - noisy.low
    forgetting = max(L_pop, TINY)
    # the share of epsilon_q that is left to the bias of waiting, and the first TD step
    shares, first_steps = np.geomspace(1e-3, 0.5, 60)[:, None], np.linspace(0.01, 1.0, 100)
    scales = 1.0 / ((1.0 - 0.5 * first_steps * (1.0 - game.discount)) * alpha)
    offsets = scales / first_steps
    powers = contraction ** np.arange(1, MAX_EPOCHS + 1)

    def cheapest(epsilon: float) -> Schedule:
        best: tuple[float, ...] | None = None
        for n_epochs, power in enumerate(powers, start=1):
            if not (room := epsilon - power * start) > 0.0:
                continue
            accuracy = room * (1.0 - contraction) / (noise * (1.0 - power))
            biases = np.maximum(3.0 * q_range * scales / (shares * accuracy), TINY)
            waiting = np.maximum(1.0, np.ceil(np.log(biases) / -np.log(forgetting)))
            variance = 0.25 * noisy.target_span**2 + 4.0 * q_range**2 * forgetting**waiting
            constants = np.maximum(scales**2 * variance, offsets * game.n_states * game.n_actions * q_range**2 / 4.0)
            updates = np.maximum(1.0, np.ceil(constants / ((1.0 - shares) * accuracy) ** 2 - offsets))
            samples = n_epochs * updates * (waiting + 1.0)
            i, j = np.unravel_index(int(samples.argmin()), samples.shape)
            if best is None or samples[i, j] < best[0]:
                best = tuple(map(float, (samples[i, j], n_epochs, updates[i, j], waiting[i, j], scales[j], offsets[j])))
            elif n_epochs * float(updates.min()) > best[0]:
                break
        if best is None:
            raise InputError(SOURCE, "L_Gamma_eta", contraction, f"a bound whose power {MAX_EPOCHS} is small enough")
        n_samples, n_epochs_, n_updates, n_waiting, td_scale_, td_offset = best
        if not n_samples < MAX_SAMPLES:
            allowed = f"an accuracy for which fewer than 2^63 samples are prescribed, not {n_samples:.0e}"
            raise InputError(SOURCE, "epsilon", epsilon, allowed)
        lengths = (int(n_epochs_), int(n_updates), int(n_waiting))
        return Schedule(*lengths, step_size, td_scale_, td_offset, 0.5 * (noisy.low + noisy.high))

    return cheapest
