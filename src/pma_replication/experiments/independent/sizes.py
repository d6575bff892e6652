"""Sizes that fit one game: independent learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pma_mfg import operators
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_PAIRS
from pma_replication.plan import BUDGET, FUNCTION_STEP, SHARES, WAITING_CONSTANT, Settings, Subject, step_seconds
from pma_replication.statistics import FEWEST_REPLICATES

#: Seconds that one of N independent learners adds to a step at 10 states, on the reference machine; they grow with the
#: root of the states (benchmarks/scaling.md). For sizes, which must not depend on a clock; `cost.Units.agent` is timed.
AGENT_SECONDS = 1.2e-8

#: Largest predicted seconds of the experiment with the fewest replicates that have an interval.
MOST = 8.0 * BUDGET


def _need_independent(subject: Subject, section: str) -> None:
    """Refuse a game in which independent learners cannot be simulated, or take too long."""
    subject.need_learning(section)
    if subject.policy.size > MOST_PAIRS:
        raise subject.refused(section, f"{subject.policy.size} pairs", f"at most {MOST_PAIRS} of them")
    if not subject.game.has_features and subject.settled > 500.0:
        raise subject.too_long(section, 4e3 * subject.settled * FUNCTION_STEP)


def _independent(subject: Subject) -> Settings:
    _need_independent(subject, "independent")
    first = max(subject.settled, 100.0)
    relative = (0.05, 0.1, 0.2)
    settings: Settings = {
        "step_size": subject.relative_step_size,
        "n_waiting": 0,
        "n_epochs": min(60, subject.n_epochs(0.05)),
        "n_updates": math.ceil(2.0 * first),
        "populations": [500, 1500, 5000],
        "population_replicates": [FEWEST_REPLICATES] * 3,
        # so many agents that the others' fluctuations are small beside the noise of each one; their mean is precise
        "n_agents": 4000,
        "n_replicates": FEWEST_REPLICATES,
        "step_sizes": list(relative),
        # after them the smallest step has forgotten nine tenths of its start
        "step_epochs": math.ceil(math.log(10.0) / math.log1p(relative[0])),
        "epsilons": SHARES,  # the accuracies themselves take a pilot run
        "waiting_constant": WAITING_CONSTANT,
    }
    per_step = 1.0 + 4000 * _agent_seconds(subject.game) / step_seconds(subject.game)
    least = sum(independent_steps(settings, subject.least_learning_steps).values())
    subject.need_time("independent", least * per_step, MOST)
    # what the last epoch leaves of the start is a tenth of the noise at the largest M_td
    start = operators.policy_distance(operators.uniform_policy(subject.game), subject.policy)
    noise = subject.td_constant / math.sqrt(16.0 * first)
    settings["n_epochs"] = min(60, subject.n_epochs(min(0.05, 0.1 * noise / max(start, 1e-12))))
    settings |= {"epsilons": subject.accuracies(3), "td_constant": subject.td_constant}
    steps = sum(independent_steps(settings, subject.learning_steps).values())
    subject.need_time("independent", steps * per_step, MOST)
    return settings


def independent_steps(settings: Mapping[str, Any], learning_steps: Callable[[float], float]) -> dict[str, float]:
    """Return the environment steps of each sweep of the section `independent`, over all of its runs."""
    waiting, count = settings["n_waiting"] + 1, settings["n_replicates"]
    return {
        "step_sizes": settings["step_epochs"] * settings["n_updates"] * waiting * count * len(settings["step_sizes"]),
        "populations": settings["n_epochs"] * settings["n_updates"] * waiting * sum(settings["population_replicates"]),
        "epsilons": count * sum(map(learning_steps, settings["epsilons"])),
    }


def _games(subject: Subject) -> Settings:
    _need_independent(subject, "independent_games")
    first = max(subject.settled, 100.0)
    settings: Settings = {
        "games": {
            "step_size": subject.relative_step_size,
            "updates": [math.ceil(first * factor) for factor in (1, 4, 16)],
            "starts": ["equal", "unequal"],
        },
        "populations": [100, 1000],
        "n_waiting": 0,
        "start_left": 0.01,
        "n_replicates": FEWEST_REPLICATES,
    }
    n_epochs, agent = subject.n_epochs(settings["start_left"]), _agent_seconds(subject.game)
    seconds = games_seconds(settings, n_epochs, step_seconds(subject.game), agent=agent)
    if seconds > MOST:
        raise subject.too_long("independent_games", seconds, MOST)
    return settings


def _agent_seconds(game: Game) -> float:
    """Return the seconds that an independent learner adds to a step on the reference machine."""
    return AGENT_SECONDS * math.sqrt(game.n_states / 10)


def games_seconds(settings: Mapping[str, Any], n_epochs: int, step: float, *, agent: float) -> float:
    """Return the seconds of the section `independent_games`, from a run's epochs and those of a step and an agent."""
    chosen = settings["games"]
    per_step = sum(step + n_agents * agent for n_agents in settings["populations"])
    steps = n_epochs * sum(chosen["updates"]) * (settings["n_waiting"] + 1) * settings["n_replicates"]
    return float(steps * per_step * len(chosen["starts"]))


SIZES = {"independent": _independent, "independent_games": _games}
