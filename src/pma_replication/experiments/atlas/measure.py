"""Measurements: many generated games. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, games
from pma_mfg.commands import step_sizes
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import schedules
from pma_mfg.regularizers import Entropy
from pma_mfg.theory import certificates, invariant_sets, lipschitz, prescription
from pma_replication.experiments.contraction import measure as contraction_measure
from pma_replication.experiments.phase import measure as phase_measure
from pma_replication.experiments.populations import measure as populations_measure
from pma_replication.experiments.samples import measure as samples_measure

#: Most PMA steps of the equilibrium solver at each of its step sizes.
SOLVER_ITERATIONS = 500

#: Predicted bias below which no measured one is compared with it: it is a rounding error of Q.
NO_BIAS = 1e-12

#: What a row says where there is no equilibrium, or where a number does not exist or is not found; `n_replicates` and
#: `epsilon` are settings, which every row has.
UNKNOWN = {"solved": False, "residual": np.nan, "differentiable": False, "attraction": np.inf}
UNKNOWN |= {"spectral_radius": np.nan, "best_response_radius": np.nan}
UNKNOWN |= {"n_starts": 0, "n_converged": 0, "observed_rate": np.nan, "no_game_rate": np.nan}
UNKNOWN |= {"n_certified": 0, "n_certified_converged": 0}
UNKNOWN |= {"predicted_bias": np.nan, "bias_exponent": np.nan, "bias_ratio": np.nan, "bias_error": np.nan}
UNKNOWN |= {"deviation_ratio": np.nan, "deviation_error": np.nan, "n_replicates": 0}
UNKNOWN |= {"least_visit": np.nan, "samples": np.nan, "epsilon": np.nan}
UNKNOWN |= {"start_error": np.nan, "learned_error": np.nan}
UNKNOWN |= {"start_exploitability": np.nan, "learned_exploitability": np.nan}

#: Lipschitz constants of a game that its row reports.
CONSTANTS = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a", "delta", "L_pop")


def member_name(family: str, parameters: Mapping[str, Any], strength: float) -> str:
    """Return what names a game in tables and seeds: its family, its parameters in alphabetical order, the strength.

    Examples
    --------
    >>> member_name("coordination", {"n_states": 2, "discount": 0.9, "attraction": 1.0}, 0.1)
    'coordination attraction=1 discount=0.9 n_states=2 strength=0.1'
    """

    def text(value: Any) -> str:  # 1 and 1.0 in a configuration mean the same
        return value if isinstance(value, str) else repr(float(value)).removesuffix(".0")

    named = [f"{name}={text(parameters[name])}" for name in sorted(parameters) if name != "strength"]
    return " ".join([family, *named, f"strength={text(strength)}"])


def row(
    name: str,
    family: str,
    parameters: Mapping[str, Any],
    *,
    strength: float,
    relative_step_size: float,
    n_starts: int,
    max_iterations: int,
    n_agents: int,
    n_steps: int,
    n_replicates: int,
    epsilon: float,
    n_visits: int,
    waiting_constant: float,
    max_samples: int,
    seed: int,
) -> dict[str, Any]:
    """Return the row of one game under the entropy: its constants and bounds, and what PMA does in it.

    Parameters
    ----------
    name : str
        Of the grid that the game belongs to, ``game`` in the table.
    family : str
    parameters : mapping
        Of the family; the strength of a planted game among them.
    strength : float
        tau > 0.
    relative_step_size : float
        eta of PMA, in units of 1 / rho.
    n_starts : int
        Starts of PMA: the uniform policy and random ones.
    max_iterations : int
        Of PMA from each start.
    n_agents : int
        N, at which the bias is measured and learning happens.
    n_steps, n_replicates : int
        Averaged steps of each of the trajectories that measure the bias.
    epsilon, waiting_constant : float
        Of `learning.schedules.practical_schedule`.
    n_visits : int
        M_td is such that the rarest pair of the equilibrium is expected to be updated this often in an epoch.
    max_samples : int
        A schedule with more samples is not run.
    seed : int
        Root seed.

    Returns
    -------
    dict
        The columns of config/README.md, "atlas".
    """
    member = member_name(family, parameters, strength)
    game, entropy = games.make(family, **parameters), Entropy(strength)
    step_size = step_sizes.absolute(relative_step_size, entropy)
    found = invariant_sets.invariant_set(game, entropy)
    facts: dict[str, Any] = {
        "game": name,
        "member": member,
        "family": family,
        **_known(game, parameters, entropy, step_size=step_size, found=found),
        **UNKNOWN,
        "n_replicates": n_replicates,
        "epsilon": epsilon,
    }
    remarks: list[str] = []
    nash = None
    with _remarked(remarks, "equilibrium"):
        nash = equilibrium.solve(game, entropy, max_iterations=SOLVER_ITERATIONS)
    if nash is not None:
        facts |= {"solved": True, "residual": max(map(abs, nash.residuals.values()))}
        starts = {"name": member, "n_starts": n_starts, "max_iterations": max_iterations, "seed": seed}
        facts |= _pma(game, entropy, nash, step_size=step_size, found=found, starts=starts, remarks=remarks)
        with _remarked(remarks, "bias"):
            measured = populations_measure.finite_population_bias(
                game,
                entropy,
                nash.policy,
                name=member,
                populations=[n_agents],
                n_steps=n_steps,
                n_replicates=n_replicates,
                seed=seed,
            )
            facts |= _bias(game, nash.mean_field, measured)
        facts |= _learning(
            game,
            entropy,
            nash,
            remarks=remarks,
            name=member,
            step_size=step_size,
            n_agents=n_agents,
            epsilon=epsilon,
            n_visits=n_visits,
            waiting_constant=waiting_constant,
            max_samples=max_samples,
            seed=seed,
        )
    return facts | {"remark": "; ".join(remarks)}


@contextmanager
def _remarked(remarks: list[str], what: str) -> Iterator[None]:
    """Note in a remark what does not exist or is not found, and go on after it."""
    try:
        yield
    except (ConvergenceError, InputError, np.linalg.LinAlgError) as error:
        remarks.append(f"{what}: {error}")


def _known(
    game: MeanFieldGame,
    parameters: Mapping[str, Any],
    entropy: Entropy,
    *,
    step_size: float,
    found: invariant_sets.InvariantSet,
) -> dict[str, Any]:
    """Return what is known of a game without its equilibrium: sizes, constants, bounds."""
    c = lipschitz.constants(game)
    return {
        "n_states": game.n_states,
        "n_actions": game.n_actions,
        "discount": game.discount,
        "coupling": float(parameters.get("coupling", np.nan)),
        "seed": int(parameters.get("seed", 0)),
        "strength": float(entropy.strength),
        "step_size": step_size,
        **{constant: getattr(c, constant) for constant in CONSTANTS},
        "kind": lipschitz.weaker(*c.kind.values()),
        "paper_bound": lipschitz.contraction_bound(game, entropy, step_size).L_gamma,
        "certificate": certificates.certificate(game, entropy, step_size, found=found).L_gamma,
    }


def _pma(
    game: MeanFieldGame,
    entropy: Entropy,
    nash: equilibrium.Equilibrium,
    *,
    step_size: float,
    found: invariant_sets.InvariantSet,
    starts: Mapping[str, Any],
    remarks: list[str],
) -> dict[str, Any]:
    """Return how fast PMA should approach the equilibrium, and how it does from the starts, some of them certified."""
    policy = nash.policy
    facts: dict[str, Any] = {"differentiable": game.differentiable_at(nash.mean_field)}
    if facts["differentiable"]:
        with _remarked(remarks, "spectral radius"):
            values = phase_measure.spectral_radii(game, policy, entropy, step_sizes=[step_size, np.inf])
            facts |= {"spectral_radius": float(values[0]), "best_response_radius": float(values[1])}
    with _remarked(remarks, "PMA"):
        _, rates = contraction_measure.pma_convergence(game, entropy, policy, step_sizes=[step_size], **starts)
        facts |= {
            "n_starts": len(rates),
            "n_converged": int(rates["converged"].sum()),
            "observed_rate": float(rates["observed_rate"].max()),
            "no_game_rate": float(rates["no_game_rate"].iloc[0]),
        }
    with _remarked(remarks, "certified PMA"):
        table = contraction_measure.certified_convergence(
            game, entropy, policy, found={"euclidean": found}, step_sizes=[step_size], **starts
        )
        names = {"attraction": "attraction", "n_starts": "n_certified", "n_converged": "n_certified_converged"}
        facts |= {new: table[old].iloc[0].item() for old, new in names.items()}
    return facts


def _learning(
    game: MeanFieldGame,
    entropy: Entropy,
    nash: equilibrium.Equilibrium,
    *,
    remarks: list[str],
    name: str,
    step_size: float,
    n_agents: int,
    epsilon: float,
    n_visits: int,
    waiting_constant: float,
    max_samples: int,
    seed: int,
) -> dict[str, Any]:
    """Return the samples of the practical schedule, and how far it learns if they are not too many."""
    policy = nash.policy
    least = float((nash.mean_field[:, None] * policy).min())
    facts: dict[str, Any] = {"least_visit": least}
    with _remarked(remarks, "learning"):
        schedule = schedules.practical_schedule(
            game,
            entropy,
            policy,
            step_size=step_size,
            epsilon=epsilon,
            td_constant=epsilon * float(np.sqrt(n_visits / max(least, prescription.MIN_PROBABILITY))),
            waiting_constant=waiting_constant,
        )
        facts["samples"] = float(schedule.n_samples)
        if schedule.n_samples > max_samples:
            remarks.append(f"learning: {schedule.n_samples:.2g} samples, more than {max_samples:.2g}")
            return facts
        table = samples_measure.learning_errors(
            game,
            entropy,
            policy,
            name=name,
            n_agents=n_agents,
            epsilon=epsilon,
            schedule=schedule,
            n_replicates=1,
            seed=seed,
        )
        for column in ("error", "exploitability"):
            facts |= {
                f"{when}_{column}": float(table[column].iloc[epoch]) for when, epoch in (("start", 0), ("learned", -1))
            }
    return facts


def _bias(game: MeanFieldGame, mean_field: np.ndarray, measured: pd.DataFrame) -> dict[str, Any]:
    """Return the predicted bias, and the measured bias and deviation in units of the predicted ones.

    The bias enters by its projection on the predicted one: it is linear in what is measured, so that noise does not add
    to it, as it would to a norm.
    """
    n_agents, n_replicates = int(measured["n_agents"].iloc[0]), measured["replicate"].nunique()
    errors, predicted = (
        measured.pivot(index="replicate", columns=["state", "action"], values=column).to_numpy()
        for column in ("q_error", "predicted_q_error")
    )
    deviations = measured.drop_duplicates("replicate")
    ratios = {"deviation": (deviations["deviation"] / deviations["predicted_deviation"]).to_numpy()}
    largest = float(np.abs(predicted).max())
    if largest > NO_BIAS:
        ratios["bias"] = (errors * predicted).sum(axis=1) / (predicted**2).sum(axis=1)
    exponent = 1.0 if game.reward_features.differentiable_at(mean_field) else 0.5
    found = {"bias_exponent": exponent, "predicted_bias": largest * n_agents**exponent}
    for quantity, values in ratios.items():
        found[f"{quantity}_ratio"] = float(values.mean())
        found[f"{quantity}_error"] = float(values.std(ddof=1) / np.sqrt(n_replicates))
    return found


def table(
    members: Sequence[tuple[str, str, Mapping[str, Any], float]],
    after_game: Callable[[], None] = lambda: None,
    **settings: Any,
) -> pd.DataFrame:
    """Return the rows of several games.

    Parameters
    ----------
    members : sequence of tuple
        The name, family, parameters and strength of each, as in `row`.
    after_game : callable
        Called after each game.
    **settings
        The keywords of `row`.

    Returns
    -------
    DataFrame
        One row per game, in the order given.
    """
    rows = []
    for name, family, parameters, strength in members:
        rows.append(row(name, family, parameters, strength=strength, **settings))
        after_game()
    return pd.DataFrame(rows)
