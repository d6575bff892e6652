"""Many replicates of a learning run, several side by side: bitwise what they are one by one, in a third of the time.

Statements and algorithms are those of `learning.algorithms`. Replicates move together in vector registers
(`simulation.lockstep`) where populations move by counts; the others run one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numba
import numpy as np

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.learning import algorithms, schedules
from pma_mfg.learning.algorithms import Epoch, Exploration, Save
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import exchangeable, lockstep, random_numbers
from pma_mfg.simulation.exchangeable import Tables, initial_population

#: The arrays of all replicates, by name, with replicates along the first axis.
State = dict[str, np.ndarray]


@accepts()
def ctd(
    game: Game,
    policy: np.ndarray,
    n_agents: int,
    *,
    regularizer: Regularizer,
    n_updates: int | Sequence[int],
    n_waiting: int,
    td_scale: float,
    td_offset: float,
    rngs: Sequence[np.random.Generator],
    start: float = 0.0,
    resume: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
) -> np.ndarray:
    """Estimate the Q-function of a policy in several replicates: `algorithms.ctd`, once for each generator.

    Parameters
    ----------
    game, policy, n_agents, regularizer, n_updates, n_waiting, td_scale, td_offset, start
        As there.
    rngs : sequence of numpy.random.Generator
        One for each replicate, which does not depend on the others.
    resume, save : optional
        As there, with the state of all replicates.

    Returns
    -------
    ndarray, shape (R, S, A), or (R, C, S, A) for a sequence of C numbers
        Bitwise what R calls of `algorithms.ctd` return.

    Raises
    ------
    InputError
        As `algorithms.ctd`.
    """
    checkpoints = algorithms.checked_updates(
        n_updates, n_waiting=n_waiting, td_scale=td_scale, td_offset=td_offset, start=start
    )
    state = _started(game, n_agents, rngs, len(checkpoints))
    state["q"][...] = start
    if resume is not None:
        state = {name: np.array(resume[name]) for name in state}
    steps = {"n_waiting": n_waiting, "scale": float(td_scale), "offset": float(td_offset)}
    _learn(game, [policy], regularizer, state, checkpoints=checkpoints, steps=steps, save=save)
    return state["snapshots"] if np.ndim(n_updates) else state["snapshots"][:, 0]


@accepts(start="policy")
def centralized(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    schedule: Schedule,
    rngs: Sequence[np.random.Generator],
    start: np.ndarray | None = None,
    floor: float | None = None,
    strengths: Sequence[float] | None = None,
    starts: Sequence[float] | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    resume: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
) -> np.ndarray:
    """Run centralized PMA in several replicates: `algorithms.centralized`, once for each generator.

    Parameters
    ----------
    game, n_agents, regularizer, schedule, start, floor, strengths, starts
        As there.
    rngs : sequence of numpy.random.Generator
        One for each replicate, which does not depend on the others.
    after_epoch : callable
        Called with the number of each epoch that all replicates have finished.
    resume, save : optional
        As there, with the state of all replicates.

    Returns
    -------
    ndarray, shape (R, K + 1, S, A)
        Bitwise what R calls of `algorithms.centralized` return.

    Examples
    --------
    >>> from pma_mfg import equilibrium, games, regularizers, seeds
    >>> from pma_mfg.learning import schedules
    >>> game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    >>> entropy = regularizers.Entropy(0.1)
    >>> nash = equilibrium.solve(game, entropy).policy
    >>> schedule = schedules.practical_schedule(
    ...     game, entropy, nash, step_size=5.0, epsilon=0.3, td_constant=9.0, waiting_constant=0.5
    ... )
    >>> rngs = [seeds.generator(0, "example", replicate) for replicate in range(2)]
    >>> policies = centralized(game, 1000, entropy, schedule=schedule, rngs=rngs)
    >>> rng = seeds.generator(0, "example", 1)
    >>> bool((policies[1] == algorithms.centralized(game, 1000, entropy, schedule=schedule, rng=rng)).all())
    True
    """
    checkpoints = np.array([schedule.n_updates])
    by_epoch = schedules.by_epoch(regularizer, schedule, strengths=strengths, starts=starts)
    state = _started(game, n_agents, rngs, 1)
    first = operators.uniform_policy(game) if start is None else start
    policies = [np.stack([first] * len(rngs))]
    if resume is not None:
        state = {name: np.array(resume[name]) for name in state}
        policies = list(resume["policies"])
    steps = {"n_waiting": schedule.n_waiting, "scale": float(schedule.td_scale), "offset": float(schedule.td_offset)}

    def save_all(inside: Callable[[], Mapping[str, np.ndarray]]) -> None:
        if save is not None:
            save(lambda: {**inside(), "policies": np.array(policies)})

    while len(policies) <= schedule.n_epochs:
        current = policies[-1]
        regularizer, schedule = by_epoch[len(policies) - 1]
        if not state["updates"].any():
            state["q"][...] = schedule.start
            for policy, tagged, stream in zip(current, state["tagged"], state["stream"], strict=True):
                # the new policy holds from now on: the action that the old one had drawn was not played yet
                tagged[1] = random_numbers.draw(stream, policy[tagged[0]].copy())
        _learn(game, list(current), regularizer, state, checkpoints=checkpoints, steps=steps, save=save_all)
        policies.append(
            np.stack(
                [
                    operators.mirror_ascent_step(q, policy, schedule.step_size, regularizer=regularizer, floor=floor)
                    for q, policy in zip(state["snapshots"][:, 0], current, strict=True)
                ]
            )
        )
        state["updates"][:] = 0
        after_epoch(len(policies) - 1)
        save_all(lambda: state)
    return np.stack(policies, axis=1)


@accepts(start="policy")
def blind(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    rngs: Sequence[np.random.Generator],
    budget: int | None = None,
    start: np.ndarray | None = None,
) -> list[list[Epoch]]:
    """Run blind learning in several replicates: `algorithms.blind`, once for each generator.

    Parameters
    ----------
    game, n_agents, regularizer, budget, start
        As there.
    rngs : sequence of numpy.random.Generator
        One for each replicate, which does not depend on the others.

    Returns
    -------
    list of list of Epoch
        Of every replicate, bitwise what `algorithms.blind` yields.
    """
    runs = [algorithms.blind_steps(game, n_agents, regularizer, rng=rng, budget=budget, start=start) for rng in rngs]
    epochs: list[list[Epoch]] = [[] for _ in rngs]
    for steps in zip(*runs, strict=True):  # the schedule is the same in all
        waiting = []
        for of_run, step in zip(epochs, steps, strict=True):
            if isinstance(step, Epoch):
                of_run.append(step)
            else:
                waiting.append(step)
        for first in range(0, len(waiting), lockstep.TOGETHER):
            _explore(game, regularizer, waiting[first : first + lockstep.TOGETHER])
    return epochs


def _explore(game: Game, regularizer: Regularizer, group: Sequence[Exploration]) -> None:
    """Make the steps of exploring learners, as many for each, in place: together where they can move together."""
    settings: Any = numba.config  # which sets its attributes at run time
    shared: Tables | None = None
    tables: Tables = ()
    if game.has_features and not settings.DISABLE_JIT and len(group) >= lockstep.WORTHWHILE:
        n_agents = group[0].population.n_agents
        each = [exchangeable.policy_tables(game, of.policy, regularizer, n_agents=n_agents) for of in group]
        shared, tables = lockstep.shared_tables(each), exchangeable.game_tables(game)
    if shared is None:
        for of in group:
            algorithms.explore(game, regularizer, of)
        return
    nothing = np.zeros((0, *group[0].q.shape))
    moving = [
        {"others": of.population.others, "tagged": of.population.tagged, "stream": of.population.stream}
        | {"q": of.q, "visits": of.visits, "behaviour": algorithms.begin_exploring(of), "snapshots": nothing}
        for of in group
    ]
    steps = group[0]
    for begin, end in exchangeable.chunks(0, steps.n_updates, exchangeable.step_entries(each[0]) * len(group)):
        lockstep.learn(
            moving,
            tables,
            shared,
            first=begin,
            last=end,
            n_waiting=0,
            scale=steps.scale,
            offset=steps.scale,
            discount=steps.discount,
            checkpoints=np.zeros(0, dtype=np.int64),
        )


def _started(game: Game, n_agents: int, rngs: Sequence[np.random.Generator], n_checkpoints: int) -> State:
    """Return the arrays of fresh populations, one for each generator, which have learned nothing."""
    populations = [vars(initial_population(game, n_agents, rng)) for rng in rngs]
    shape = (len(rngs), n_checkpoints, game.n_states, game.n_actions)
    return {
        **{name: np.stack([population[name] for population in populations]) for name in populations[0]},
        "q": np.zeros((shape[0], *shape[2:])),
        "snapshots": np.zeros(shape),
        "updates": np.zeros(shape[0], dtype=np.int64),
    }


def _learn(
    game: Game,
    policies: Sequence[np.ndarray],
    regularizer: Regularizer,
    state: State,
    *,
    checkpoints: np.ndarray,
    steps: Mapping[str, Any],
    save: Save | None,
) -> None:
    """Make all updates in all replicates, in place; policies has one for each, or a single one for all."""
    settings: Any = numba.config  # which sets its attributes at run time
    compiled = not settings.DISABLE_JIT
    updates, n_agents = state["updates"], int(state["others"][0].sum()) + 1
    tables = exchangeable.game_tables(game) if game.has_features else ()
    held: tuple[Tables | None, int] | None = None
    for first in range(0, len(updates), lockstep.TOGETHER):
        group = range(first, min(first + lockstep.TOGETHER, len(updates)))
        together = compiled and len(group) >= lockstep.WORTHWHILE  # others have no vector registers
        if game.has_features and together and (held is None or len(policies) > 1):
            of_group = policies if len(policies) == 1 else [policies[r] for r in group]
            each = [exchangeable.policy_tables(game, of, regularizer, n_agents=n_agents) for of in of_group]
            held = lockstep.shared_tables(each), exchangeable.step_entries(each[0])
        if together and held is not None and held[0] is not None:
            shared, entries = held[0], held[1] * len(group) * int(steps["n_waiting"] + 1)
            moving = [{name: array[r] for name, array in state.items() if name != "updates"} for r in group]
            for begin, end in exchangeable.chunks(int(updates[first]), int(checkpoints[-1]), entries):
                lockstep.learn(
                    moving,
                    tables,
                    shared,
                    first=begin,
                    last=end,
                    discount=game.discount,
                    checkpoints=checkpoints,
                    **steps,
                )
                updates[group.start : group.stop] = end
                if save is not None and end < checkpoints[-1]:
                    save(lambda: state)
            continue
        for r in group:
            if updates[r] < checkpoints[-1]:
                policy = policies[r % len(policies)]
                _learn_alone(game, policy, regularizer, state, r, checkpoints=checkpoints, steps=steps, save=save)


def _learn_alone(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    state: State,
    r: int,
    *,
    checkpoints: np.ndarray,
    steps: Mapping[str, Any],
    save: Save | None,
) -> None:
    """Make all updates in one replicate, in place."""
    moving = {name: array[r] for name, array in state.items() if name != "updates"}
    done = int(state["updates"][r])
    for end in algorithms.td_updates(
        game, policy, regularizer, moving=moving, done=done, checkpoints=checkpoints, **steps
    ):
        state["updates"][r] = end
        if save is not None and end < checkpoints[-1]:
            save(lambda: state)
