"""`pma-mfg learn`: learn a game from one trajectory of N agents."""

from __future__ import annotations

import argparse
import csv
import io
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pma_mfg.commands import arguments, inputs, output, schedules, step_sizes
from pma_mfg.errors import ConvergenceError, InputError

log = logging.getLogger("pma_mfg")

Rows = list[dict[str, Any]]


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    learn = commands.on_equilibrium(
        "learn",
        _learn,
        "learn a game from one trajectory of N agents; exit code 0: epsilon reached, 1: missed",
        group="your game",
        examples=(
            "game.npz --strength 0.1 --agents 1000",
            "game.npz --strength 0.1 --agents 1000 --schedule tuned --epsilon 0.2 --replicates 2",
        ),
    )
    arguments.add_agents(learn)
    learn.add_argument(
        "--epsilon",
        type=arguments.positive,
        help="exploitability (regularized) to reach (default: 0.03 of the rewards' range); with --schedule tuned or "
        "theorem: the distance to the equilibrium that the schedule is for",
    )
    learn.add_argument(
        "--budget",
        type=arguments.integer(1),
        help="samples of a run (default: 500 S A / (1 - gamma)), of --schedule auto",
    )
    learn.add_argument(
        "--schedule",
        choices=["auto", "tuned", "theorem"],
        help="auto: steps and epochs from what the learner sees alone; tuned: with the constants below; theorem: with "
        "the theorem's for this game (default: auto, or tuned if one of the next four options is given)",
    )
    learn.add_argument("--step-size", type=arguments.step, help=f"{arguments.ETA} (default 0.5)")
    learn.add_argument("--td-constant", type=arguments.positive, help="M_td = (this / epsilon)^2 (default 7)")
    learn.add_argument("--waiting-constant", type=arguments.positive, help="M_mix = this log(1/epsilon) (default 0.5)")
    learn.add_argument("--dry-run", action="store_true", help="print the schedule and its samples, and stop")
    learn.add_argument(
        "--replicates",
        type=arguments.integer(1),
        help="independent runs (default: 1, or 16 of a tuned or theorem's schedule)",
    )
    learn.add_argument("--out", help="table of every epoch to write, as CSV")
    learn.add_argument("--out-policies", help="table of the policies learned by --schedule auto, to write, as CSV")
    arguments.add_json(learn)


def _learn(options: argparse.Namespace) -> int:
    """Learn a game: 0 if the accuracy was reached, 1 if not."""
    source = "pma-mfg learn"
    for name in ("out", "out_policies"):
        if (path := getattr(options, name)) and not path.endswith(".csv"):
            raise InputError(source, f"--{name.replace('_', '-')}", path, "a file called something.csv")
    given = [name for name in ("step_size", "td_constant", "waiting_constant") if getattr(options, name) is not None]
    if options.dry_run:
        given.append("dry_run")
    schedule = options.schedule or ("tuned" if given else "auto")
    if schedule == "auto":
        if given:
            option, value = f"--{given[0].replace('_', '-')}", getattr(options, given[0])
            raise InputError(source, option, value, "nothing: --schedule auto chooses all; tuned and theorem take it")
        return _learn_blindly(options)
    for option, needed in (("--budget", False), ("--out-policies", False), ("--epsilon", True)):
        value = getattr(options, option[2:].replace("-", "_"))
        if (value is not None) != needed:
            allowed = "an accuracy" if needed else "nothing, unless --schedule auto"
            raise InputError(source, option, value, f"{allowed} (--schedule {schedule})")
    defaults = {"step_size": 0.5, "td_constant": 7.0, "waiting_constant": 0.5, "replicates": 16}
    for name, default in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    options.schedule = schedule
    return _learn_scheduled(options)


def _learn_scheduled(options: argparse.Namespace) -> int:
    """Learn with a schedule made for an accuracy, and measure the distance to the equilibrium."""
    from pma_mfg import operators
    from pma_mfg.theory import prescription

    game, found, regularizer = inputs.game_and_equilibrium(options)
    try:
        operators.stable_population(game, found.policy)
    except ConvergenceError:
        raise inputs.no_population(options.game) from None
    step_sizes.choose(options, game, found, regularizer=regularizer)
    if options.schedule == "theorem":
        game = game.with_features("pma-mfg learn --schedule theorem")
        schedule = prescription.theorem_schedule(game, regularizer, options.step_size, epsilon=options.epsilon)
    else:
        schedule = schedules.tuned(options, game, found, regularizer=regularizer)
    schedules.tell(schedule, game, found)
    if options.dry_run:
        return 0
    with output.progress(options.replicates * schedule.n_epochs, "epochs") as advance:
        rows = _scheduled_rows(options, game, found.policy, regularizer, schedule, advance)
    _write(options, rows)
    first, last = ([row for row in rows if row["epoch"] == epoch] for epoch in (0, rows[-1]["epoch"]))

    def mean(rows: Rows, column: str) -> float:
        return float(sum(row[column] for row in rows) / len(rows))

    error = mean(last, "error")
    log.info(
        "%s epsilon = %.4g: distance to the equilibrium %.4g; exploitability (regularized) %s at the start, %s at "
        "the end, after %d samples (means of %d runs)",
        "reached" if error <= options.epsilon else "missed",
        options.epsilon,
        error,
        _told(mean(first, "exploitability")),
        _told(mean(last, "exploitability")),
        last[0]["samples"],
        len(last),
    )
    return 0 if error <= options.epsilon else 1


def _scheduled_rows(
    options: argparse.Namespace,
    game: Any,
    nash: Any,
    regularizer: Any,
    schedule: Any,
    advance: Callable[..., None],
) -> Rows:
    """Run centralized learning; return a row for each epoch of each run."""
    from pma_mfg import operators, seeds
    from pma_mfg.learning import algorithms
    from pma_mfg.theory import lipschitz

    name = inputs.game_name(options)
    tuned = options.schedule == "tuned"
    floor = lipschitz.policy_floor(game, regularizer) if tuned else None
    per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
    rows = []
    for replicate in range(options.replicates):
        experiment = "learning" if tuned else "prescribed"
        rng = seeds.generator(options.seed, experiment, name, options.agents, options.epsilon, replicate)
        policies = algorithms.centralized(
            game, options.agents, regularizer, schedule=schedule, rng=rng, floor=floor, after_epoch=advance
        )
        rows += [
            {
                "game": name,
                "schedule": options.schedule,
                "n_agents": options.agents,
                "epsilon": options.epsilon,
                "step_size": schedule.step_size,
                "replicate": replicate,
                "epoch": epoch,
                "samples": epoch * per_epoch,
                "error": float(operators.policy_distance(policy, nash)),
                "exploitability": _exploitability(game, policy, regularizer),
            }
            for epoch, policy in enumerate(policies)
        ]
    return rows


def _learn_blindly(options: argparse.Namespace) -> int:
    """Learn from what the learner sees alone, and measure how exploitable its policies are."""
    from pma_mfg.learning import schedules
    from pma_mfg.theory import lipschitz

    game = inputs.load_game(options.game)
    inputs.check_regularizer(options)
    if options.equilibrium is not None:
        regularizer = inputs.load_equilibrium(options, game)[1]
    else:
        regularizer = inputs.load_regularizer(options.regularizer, options.strength)
    replicates = options.replicates or 1
    budget = schedules.blind_schedule(game, regularizer, budget=options.budget).n_samples
    epsilon = options.epsilon
    if epsilon is None:
        lowest, highest = lipschitz.reward_range(game)
        epsilon = 0.03 * ((highest - lowest) or regularizer.span(game.n_actions))
    written = bool(options.out or options.json)
    with _watch(replicates * budget, game, regularizer) as after_epoch:
        runs = [
            _blind_run(options, game, regularizer, budget, replicate, after_epoch, written)
            for replicate in range(replicates)
        ]
    rows = [row for of_run, _ in runs for row in of_run]
    finals = [epochs[-1].policy for _, epochs in runs]
    if written:
        _write(options, rows)
    else:
        _print_policy(game, finals[0])
    if options.out_policies:
        _write_csv(options.out_policies, _policy_rows(inputs.game_name(options), finals))
    ends = [of_run[-1] for of_run, _ in runs]
    worst_run = max(range(replicates), key=lambda i: (math.isnan(ends[i]["exploitability"]), ends[i]["exploitability"]))
    worst = ends[worst_run]["exploitability"]
    unseen = max(row["unseen"] for row in ends)
    if unseen:
        log.warning(
            "warning: %d of %d pairs of state and action were not seen in the last epoch: what is best there is not "
            "known; a larger --budget helps unless the population of %d agents never gets there",
            unseen,
            game.n_states * game.n_actions,
            options.agents,
        )
    reached = worst <= epsilon  # False for nan, a policy without a stable population
    if not reached and not unseen:
        log.info(
            "what may do better: a larger --budget, or a larger --strength, which damps how agents react to each other"
        )
    log.info(
        "%s epsilon = %.4g: exploitability (regularized) %s at the start, %s at the end, after %d samples%s%s",
        "reached" if reached else "missed",
        epsilon,
        _told(rows[0]["exploitability"]),
        _told(worst),
        budget,
        "" if replicates == 1 else f" (the worst of {replicates} runs)",
        "" if reached else _smallest(game, regularizer, *runs[worst_run]),
    )
    return 0 if reached else 1


def _exploitability(game: Any, policy: Any, regularizer: Any) -> float:
    """Return the exploitability of a policy, nan if it has no stable population."""
    from pma_mfg import equilibrium

    try:
        return float(equilibrium.exploitability(game, policy, regularizer))
    except ConvergenceError:
        return math.nan


def _told(exploitability: float) -> str:
    """Return an exploitability in words."""
    return "unknown (the population does not settle)" if math.isnan(exploitability) else f"{exploitability:.4g}"


def _smallest(game: Any, regularizer: Any, rows: Rows, epochs: list[Any]) -> str:
    """Return words on where a run was least exploitable, if that was not at its end; `rows` are what was measured."""
    measured = {row["epoch"]: row["exploitability"] for row in rows}
    with output.progress(len(epochs) - len(measured), "policies measured") as advance:
        for number, epoch in enumerate(epochs):
            if number not in measured:
                measured[number] = _exploitability(game, epoch.policy, regularizer)
                advance()
    last = measured.pop(len(epochs) - 1)
    known = [(value, epochs[number].samples) for number, value in measured.items() if not math.isnan(value)]
    unsettled = len(epochs) - 1 - len(known) + int(math.isnan(last))
    swings = f"; the population does not settle under {unsettled} of {len(epochs)} policies" if unsettled else ""
    if not known or min(known)[0] >= last:
        return swings
    least, samples = min(known)
    told = f"; {least:.4g} after {samples} samples was the least, but the last policy is the one that learning returns"
    return told + swings


def _blind_run(
    options: argparse.Namespace,
    game: Any,
    regularizer: Any,
    budget: int,
    replicate: int,
    after_epoch: Callable[[Any], None],
    every_epoch: bool,
) -> tuple[Rows, list[Any]]:
    """Run `learning.algorithms.blind` once, and return its epochs; measure every one, or the first and the last only.

    The exploitability has no influence on the run; it is nan for a policy without a stable population.
    """
    from pma_mfg import seeds
    from pma_mfg.learning import algorithms

    name = inputs.game_name(options)

    def row(number: int, epoch: Any) -> dict[str, Any]:
        return {
            "game": name,
            "schedule": "auto",
            "n_agents": options.agents,
            "replicate": replicate,
            "epoch": number,  # 0: the pilot
            "samples": epoch.samples,
            "step_size": epoch.step_size,  # nan for the pilot
            "unseen": int((epoch.visits == 0.0).sum()),
            "exploitability": _exploitability(game, epoch.policy, regularizer),
        }

    rng = seeds.generator(options.seed, "blind", name, options.agents, replicate)
    epochs = []
    for epoch in algorithms.blind(game, options.agents, regularizer, rng=rng, budget=budget):
        after_epoch(epoch)
        epochs.append(epoch)
    measured = range(len(epochs)) if every_epoch else (0, len(epochs) - 1)
    return [row(number, epochs[number]) for number in measured], epochs


@contextmanager
def _watch(total: int, game: Any, regularizer: Any) -> Iterator[Callable[[Any], None]]:
    """Yield a function of an epoch that shows samples and exploitability: a bar on a terminal, else a line at times.

    The exploitability is for the eye only, and takes a tenth of the time at most.
    """
    from pma_mfg import equilibrium

    samples, before, due = 0, 0, time.monotonic() + 1.0
    with output.bar(total, "learning", unit=" samples", unit_scale=True) as bar:

        def after_epoch(epoch: Any) -> None:
            nonlocal samples, before, due
            new = epoch.samples - before if epoch.samples > before else epoch.samples
            before, samples = epoch.samples, samples + new
            bar.update(new)
            now = time.monotonic()
            if now < due:
                return
            try:
                present = f"{equilibrium.exploitability(game, epoch.policy, regularizer):.3g}"
            except ConvergenceError:
                present = "unknown (the population does not settle)"
            pause = 1.0 if not bar.disable else 5.0
            due = time.monotonic() + max(pause, 10.0 * (time.monotonic() - now))
            if bar.disable:
                log.info("%d of %d samples: exploitability (regularized) %s", samples, total, present)
            else:
                bar.set_postfix_str(f"exploitability (regularized) {present}")

        yield after_epoch


def _print_policy(game: Any, policy: Any) -> None:
    output.print("state, and its policy:")
    labels = game.state_labels or tuple(map(str, range(game.n_states)))
    width = max(map(len, labels))
    for label, row in zip(labels, policy, strict=True):
        output.print(f"{label:>{width}}  {'  '.join(f'{x:.6f}' for x in row)}")


def _policy_rows(name: str, policies: list[Any]) -> Rows:
    return [
        {"game": name, "replicate": replicate, "state": s, "action": a, "probability": float(probability)}
        for replicate, policy in enumerate(policies)
        for s, row in enumerate(policy)
        for a, probability in enumerate(row)
    ]


def _write(options: argparse.Namespace, rows: Rows) -> None:
    """Write rows to the file of --out, and with --json print them (null: not finite)."""
    if options.out:
        _write_csv(options.out, rows)
    if options.json:
        finite = [
            {key: None if isinstance(x, float) and not math.isfinite(x) else x for key, x in row.items()}
            for row in rows
        ]
        output.print_json(finite)


def _write_csv(path: str, rows: Rows) -> None:
    from pma_mfg import storage

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    storage.write_text(path, text.getvalue())
