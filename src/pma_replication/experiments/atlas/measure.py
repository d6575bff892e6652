"""What is measured on many generated games: from one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, games
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
        eta of PMA, in units of 1 / tau.
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
    step_size = relative_step_size / strength
    remarks: list[str] = []

    def attempt(what: str, compute: Callable[[], dict[str, Any]], otherwise: dict[str, Any]) -> dict[str, Any]:
        """Return what is computed; where it does not exist, or is not found, say so and return the rest."""
        try:
            return compute()
        except (ConvergenceError, InputError, np.linalg.LinAlgError) as error:
            remarks.append(f"{what}: {error}")
            return otherwise

    c, missing = lipschitz.constants(game), float("nan")
    found = invariant_sets.invariant_set(game, entropy)
    facts: dict[str, Any] = {
        "game": name,
        "member": member,
        "family": family,
        "n_states": game.n_states,
        "n_actions": game.n_actions,
        "discount": game.discount,
        "coupling": float(parameters.get("coupling", missing)),
        "seed": int(parameters.get("seed", 0)),
        "strength": float(strength),
        "step_size": step_size,
        **{constant: getattr(c, constant) for constant in CONSTANTS},
        "kind": lipschitz.weaker(*c.kind.values()),
        "paper_bound": lipschitz.contraction_bound(game, entropy, step_size).L_gamma,
        "certificate": certificates.certificate(game, entropy, step_size, found=found).L_gamma,
    }
    nash: list[equilibrium.Equilibrium] = []

    def solved() -> dict[str, Any]:
        nash.append(equilibrium.solve(game, entropy, max_iterations=SOLVER_ITERATIONS))
        return {"solved": True, "residual": max(map(abs, nash[0].residuals.values()))}

    facts |= attempt("equilibrium", solved, {"solved": False, "residual": missing})
    policy = nash[0].policy if nash else np.full((game.n_states, game.n_actions), missing)
    differentiable = bool(nash) and game.differentiable_at(nash[0].mean_field)
    facts |= {"differentiable": differentiable, "attraction": np.inf}
    facts |= {"spectral_radius": missing, "best_response_radius": missing}
    facts |= {"n_starts": 0, "n_converged": 0, "observed_rate": missing, "no_game_rate": missing}
    facts |= {"n_certified": 0, "n_certified_converged": 0}
    facts |= {"predicted_bias": missing, "bias_exponent": missing, "bias_ratio": missing, "bias_error": missing}
    facts |= {"deviation_ratio": missing, "deviation_error": missing, "n_replicates": n_replicates}
    facts |= {"least_visit": missing, "samples": missing, "epsilon": epsilon}
    facts |= {"start_error": missing, "learned_error": missing}
    facts |= {"start_exploitability": missing, "learned_exploitability": missing}

    def radii() -> dict[str, Any]:
        values = phase_measure.spectral_radii(game, policy, entropy, step_sizes=[step_size, np.inf])
        return {"spectral_radius": float(values[0]), "best_response_radius": float(values[1])}

    starts: dict[str, Any] = {
        "name": member,
        "step_sizes": [step_size],
        "n_starts": n_starts,
        "max_iterations": max_iterations,
        "seed": seed,
    }

    def runs() -> dict[str, Any]:
        _, rates = contraction_measure.pma_convergence(game, entropy, policy, **starts)
        return {
            "n_starts": len(rates),
            "n_converged": int(rates["converged"].sum()),
            "observed_rate": float(rates["observed_rate"].max()),
            "no_game_rate": float(rates["no_game_rate"].iloc[0]),
        }

    def certified() -> dict[str, Any]:
        table = contraction_measure.certified_convergence(game, entropy, policy, found={"euclidean": found}, **starts)
        names = {"attraction": "attraction", "n_starts": "n_certified", "n_converged": "n_certified_converged"}
        return {new: table[old].iloc[0].item() for old, new in names.items()}

    def bias() -> dict[str, Any]:
        measured = populations_measure.finite_population_bias(
            game,
            entropy,
            policy,
            name=member,
            n_agents=n_agents,
            n_steps=n_steps,
            n_replicates=n_replicates,
            seed=seed,
        )
        return _bias(game, nash[0].mean_field, measured)

    def learned() -> dict[str, Any]:
        least = float((nash[0].mean_field[:, None] * policy).min())
        facts["least_visit"] = least
        td_constant = epsilon * float(np.sqrt(n_visits / max(least, prescription.MIN_PROBABILITY)))
        schedule = schedules.practical_schedule(
            game,
            entropy,
            policy,
            step_size=step_size,
            epsilon=epsilon,
            td_constant=td_constant,
            waiting_constant=waiting_constant,
        )
        facts["samples"] = float(schedule.n_samples)
        if schedule.n_samples > max_samples:
            remarks.append(f"learning: {schedule.n_samples:.2g} samples, more than {max_samples:.2g}")
            return {}
        table = samples_measure.learning_errors(
            game,
            entropy,
            policy,
            name=member,
            n_agents=n_agents,
            epsilon=epsilon,
            schedule=schedule,
            n_replicates=1,
            seed=seed,
        )
        return {
            f"{when}_{column}": float(table[column].iloc[epoch])
            for when, epoch in (("start", 0), ("learned", -1))
            for column in ("error", "exploitability")
        }

    if nash:
        if differentiable:
            facts |= attempt("spectral radius", radii, {})
        for what, compute in (("PMA", runs), ("certified PMA", certified), ("bias", bias), ("learning", learned)):
            facts |= attempt(what, compute, {})
    return facts | {"remark": "; ".join(remarks)}


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
    members : sequence of (name, family, parameters, strength)
        As in `row`.
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
