"""`pma-mfg learning-limit`, `nash-gap`, `covariance`: what finitely many agents change in a game."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output


def add(commands: arguments.Commands) -> None:
    """Add these commands."""
    group = "a game of N agents"
    learning_limit = commands.on_equilibrium(
        "learning-limit",
        _learning_limit,
        "find what TD learning from N agents converges to, exactly",
        group=group,
        seeded=False,
        examples=("game.npz --strength 0.1 --agents 5 10",),
    )
    arguments.add_agents(learning_limit, nargs="+")
    arguments.add_json(learning_limit)

    nash_gap = commands.on_equilibrium(
        "nash-gap",
        _nash_gap,
        "compute what one of N agents gains by deviating, exactly",
        group=group,
        seeded=False,
        examples=("game.npz --strength 0.1 --agents 5 10 20",),
    )
    arguments.add_agents(nash_gap, nargs="+")
    arguments.add_json(nash_gap)

    covariance = commands.on_equilibrium(
        "covariance",
        _covariance,
        "print the covariance of the mean field's fluctuations",
        group=group,
        seeded=False,
        examples=("game.npz --strength 0.1",),
    )
    arguments.add_json(covariance)


def _learning_limit(options: argparse.Namespace) -> None:
    from pma_mfg.populations import finite_population

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    answers = []
    for n_agents in options.agents:
        q = finite_population.learning_limit(game, found.policy, n_agents, regularizer=regularizer)
        answers.append({"n_agents": n_agents, "q": q.tolist()})
        if not options.json:
            output.print(f"N = {n_agents}, Q in the limit of TD learning, a row per state:")
            output.print_matrix(q)
    if options.json:
        output.print_json(answers)


def _nash_gap(options: argparse.Namespace) -> None:
    from pma_mfg.populations import deviators

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    answers = []
    for n_agents in options.agents:
        gap = float(deviators.nash_gap(game, found.policy, n_agents, regularizer=regularizer))
        answers.append({"n_agents": n_agents, "gap": gap})
        if not options.json:
            output.print(f"N = {n_agents}: gap {gap:.6g} (regularized)")
    if options.json:
        output.print_json(answers)


def _covariance(options: argparse.Namespace) -> None:
    from pma_mfg.populations import fluctuations

    game, found, _ = inputs.game_and_equilibrium(options)
    covariance = fluctuations.stationary_covariance(game, found.policy)
    deviation = float(fluctuations.expected_deviation(game, found.policy))
    if options.json:
        output.print_json({"covariance": covariance.tolist(), "deviation": deviation})
        return
    output.print("limit of N Cov(mu_hat):")
    output.print_matrix(covariance)
    output.print(f"limit of sqrt(N) E||mu_hat - mu||_1: {deviation:.6g}")
