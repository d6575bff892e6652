"""One claim on one game: what has to be run, at which sizes, judged as in the pipeline.

Each claim of docs/theory, section 12, says in the registry in plain words what it says, which steps it needs and
which figure shows it; `STEPS` calls the experiments, those of the pipeline, with the sizes of `pma_replication.plan`.
The judge is `verdicts.evaluate`, with the tolerances `plan.TOLERANCES`.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pma_mfg import equilibrium, games, iterations, regularizers
from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import schedules
from pma_mfg.theory import prescription
from pma_replication import cost, plan, registry, verdicts
from pma_replication.experiments.basins import measure as basins_measure
from pma_replication.experiments.bounds import measure as bounds_measure
from pma_replication.experiments.comparison import measure as comparison_measure
from pma_replication.experiments.contraction import measure as contraction_measure
from pma_replication.experiments.coupling import measure as coupling_measure
from pma_replication.experiments.ctd import measure as ctd_measure
from pma_replication.experiments.dynamics import measure as dynamics_measure
from pma_replication.experiments.independent import measure as independent_measure
from pma_replication.experiments.nash import measure as nash_measure
from pma_replication.experiments.orbit import measure as orbit_measure
from pma_replication.experiments.phase import measure as phase_measure
from pma_replication.experiments.populations import measure as populations_measure
from pma_replication.experiments.samples import measure as samples_measure
from pma_replication.experiments.samples.sizes import prescribed_strength
from pma_replication.plan import Settings, Subject

Tables = dict[str, pd.DataFrame]

Advance = Callable[..., None]

SOURCE = "pma-mfg verify"


@dataclass(frozen=True)
class Step:
    """A part of a section of the configuration.

    Parameters
    ----------
    section : str
        Whose settings it takes.
    ticks : callable
        From settings to how often `run` calls ``advance``.
    run : callable
        From a subject, settings, the root seed and ``advance`` to tables, by their names in the pipeline.
    """

    section: str
    ticks: Callable[[Settings], int]
    run: Callable[[Subject, Settings, int, Advance], Tables]


def _steps_of(subject: Subject, settings: Settings) -> list[float]:
    return [relative / subject.regularizer.rho for relative in settings["relative_step_sizes"]]


def _operators(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.name, _steps_of(subject, settings))
    return {"ratios": bounds_measure.operator_ratios(*of, settings["n_pairs"], settings["n_ascents"], seed, advance)}


def _convergence(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.policy, subject.name, _steps_of(subject, settings))
    runs = (settings["n_starts"], settings["max_iterations"], seed)
    iterates, rates = contraction_measure.pma_convergence(*of, *runs, advance)
    certified = contraction_measure.certified_convergence(*of, *runs)
    advance()
    return {"iterates": iterates, "rates": rates, "certified": certified}


def _phase(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    game = subject.game.with_features(subject.name)
    strengths, step_sizes = (plan.grid(settings[axis]) for axis in ("strengths", "relative_step_sizes"))
    found = phase_measure.phase_diagram(game, subject.name, strengths, step_sizes, settings["n_probes"], seed, advance)
    return {"phase": found}


def _strengths(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {"certified_strengths": phase_measure.certified_strengths(subject.game.with_features(SOURCE), subject.name)}


def _dynamics(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.policy, subject.name)
    return dynamics_measure.compare(*of, settings["n_starts"], settings["max_iterations"], seed, advance)


def _damping(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.name, settings["strengths"], settings["step_shares"])
    table, attractors = orbit_measure.damping(*of, settings["n_starts"], settings["max_iterations"], seed, advance)
    return {"damping": table, "attractors": attractors}


def _basins(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.policy, subject.name, _steps_of(subject, settings))
    return basins_measure.basins(*of, settings["n_starts"], settings["max_iterations"], seed, advance)


def _ctd(subject: Subject, settings: Settings, populations: list[int], seed: int, advance: Advance) -> Tables:
    """Return the error of TD learning; all M_mix in the largest population, the first in the others."""
    of = (subject.game, subject.regularizer, subject.policy, subject.name)
    found = []
    for n_agents in populations:
        waiting = settings["n_waiting"][: None if n_agents == max(settings["populations"]) else 1]
        replicates = [settings["n_replicates"], *[settings["other_replicates"]] * (len(waiting) - 1)]
        found.append(ctd_measure.ctd_errors(*of, n_agents, settings["n_updates"], waiting, replicates, seed, advance))
    return {
        name: pd.concat(tables, ignore_index=True)
        for name, tables in zip(("ctd", "ctd_floor"), zip(*found, strict=True), strict=True)
    }


def _ctd_many(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return _ctd(subject, settings, [max(settings["populations"])], seed, advance)


def _ctd_few(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return _ctd(subject, settings, sorted(settings["populations"])[:-1], seed, advance)


def _moments(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.policy, subject.name)
    return {"moments": ctd_measure.ctd_moments(*of, settings["exact_updates"], settings["exact_waiting"], advance)}


def _every(n: int, advance: Advance) -> Callable[[], None]:
    """Return what calls `advance` once in n calls: after each run of n epochs."""
    calls = itertools.count(1)
    return lambda: advance() if next(calls) % n == 0 else None


def _tuned(subject: Subject, settings: Settings, epsilon: float, step_size: float) -> schedules.Schedule:
    constants = {name: settings[name] for name in ("td_constant", "waiting_constant")}
    of = (subject.game, subject.regularizer, subject.policy)
    return schedules.practical_schedule(*of, step_size=step_size, epsilon=epsilon, **constants)


def _epsilon(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of, tuned = (subject.game, subject.regularizer, subject.policy, subject.name), settings["games"]
    tables = []
    for epsilon in tuned["epsilons"]:
        schedule = _tuned(subject, tuned, epsilon, tuned["step_size"])
        n_agents, n_replicates = settings["n_agents"], settings["n_replicates"]
        after_epoch = _every(schedule.n_epochs, advance)
        tables.append(
            samples_measure.learning_errors(*of, n_agents, epsilon, schedule, n_replicates, seed, after_epoch)
        )
    return {"epsilon": pd.concat(tables, ignore_index=True)}


def _prescribed(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    game, step_size = subject.game.with_features(SOURCE), settings["relative_step_size"] / subject.regularizer.rho
    tables = []
    for epsilon in settings["games"]:
        schedule = prescription.theorem_schedule(game, subject.regularizer, step_size, epsilon=epsilon)
        of = (game, subject.regularizer, subject.policy, subject.name, settings["n_agents"], epsilon, schedule)
        after_epoch = _every(schedule.n_epochs, advance)
        tables.append(samples_measure.learning_errors(*of, settings["n_replicates"], seed, after_epoch, "theorem"))
    told = samples_measure.theorem_schedules(game, subject.regularizer, subject.name, settings["epsilons"], step_size)
    return {"prescribed": pd.concat(tables, ignore_index=True), "schedules": told}


def _coupling(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    found = coupling_measure.compare(
        subject.game,
        subject.regularizer,
        subject.policy,
        subject.name,
        line=settings["games"]["line"],
        updates=settings["games"]["updates"],
        n_epochs=settings["n_epochs"],
        n_waiting=settings["n_waiting"],
        step_size=settings["step_size"],
        split=settings["split"],
        accuracy=settings["accuracy"],
        n_agents=settings["n_agents"],
        n_replicates=settings["n_replicates"],
        seed=seed,
        after_run=advance,
    )
    return {"coupling": found}


def _bias(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game.with_features(SOURCE), subject.regularizer, subject.policy, subject.name)
    runs = (settings["n_steps"], settings["n_replicates"], seed, advance)
    tables = [populations_measure.finite_population_bias(*of, n_agents, *runs) for n_agents in settings["populations"]]
    return {"bias": pd.concat(tables, ignore_index=True)}


def _exact(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game.with_features(SOURCE), subject.regularizer, subject.policy, subject.name)
    return {"exact": populations_measure.exact_limits(*of, settings["populations"], settings["step_size"], advance)}


def _agreement(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game.with_features(SOURCE), subject.regularizer, subject.policy, subject.name)
    n_steps, n_replicates = settings["n_steps"], settings["n_replicates"]
    return {
        "agreement": populations_measure.agreement(*of, settings["populations"], n_steps, n_replicates, seed, advance)
    }


def _nash(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game.with_features(SOURCE), subject.regularizer, subject.policy, subject.name)
    return {"nash": nash_measure.nash_gaps(*of, settings["populations"], advance)}


def _independent(sweep: str) -> Callable[[Subject, Settings, int, Advance], Tables]:
    """Return what runs one sweep of independent learning: what it varies, and the rest as configured."""

    def run(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
        count = settings["n_replicates"]
        agents = [(settings["n_agents"], count)]
        updates, step_sizes, n_epochs = [settings["n_updates"]], [settings["step_size"]], settings["n_epochs"]
        if sweep == "populations":
            agents = list(zip(settings["populations"], settings["population_replicates"], strict=True))
        elif sweep == "updates":
            updates = settings["updates"]
        elif sweep == "step_sizes":
            step_sizes, n_epochs = settings["step_sizes"], settings["step_epochs"]
        scale = schedules.td_scale(subject.game, subject.policy)
        start = schedules.td_start(subject.game, subject.regularizer)
        planned = [
            (float("nan"), schedules.Schedule(n_epochs, n, settings["n_waiting"], step_size, scale, scale, start))
            for step_size in step_sizes
            for n in updates
        ]
        if sweep == "epsilons":
            planned = [
                (epsilon, _tuned(subject, settings, epsilon, settings["step_size"])) for epsilon in settings["epsilons"]
            ]
        of, found = (subject.game, subject.regularizer, subject.policy, subject.name), []
        for epsilon, schedule in planned:
            runs = [
                independent_measure.IndependentRuns(n, schedule, n_replicates, epsilon) for n, n_replicates in agents
            ]
            found.append(
                independent_measure.independent_errors(*of, sweep, runs, seed, _every(schedule.n_epochs, advance))
            )
        table = pd.concat(found, ignore_index=True)
        if sweep == "epsilons":
            return {"independent_epsilon": independent_measure.independent_learning_errors(table)}
        return {"independent": table}

    return run


def _comparison(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    comparison, tuning = comparison_measure.compare(
        subject.game.with_features(SOURCE),
        subject.regularizer,
        subject.name,
        settings["methods"],
        settings["n_agents"],
        settings["budget"],
        settings["pilot_budget"],
        settings["per_decade"],
        settings["target"],
        settings["n_pilots"],
        settings["n_replicates"],
        seed,
        advance,
    )
    accuracies = comparison_measure.samples_to_accuracy(
        comparison, settings["accuracies"], plan.TOLERANCES["confidence"]
    )
    return {"comparison": comparison, "tuning": tuning, "samples_to_accuracy": accuracies}


def _comparison_runs(settings: Settings) -> int:
    tried = sum(len(comparison_measure.settings(method, grid)) for method, grid in settings["methods"].items())
    return int(tried * settings["n_pilots"] + len(settings["methods"]) * settings["n_replicates"])


def _count(key: str) -> Callable[[Settings], int]:
    return lambda settings: len(settings[key])


STEPS = {
    "operators": Step("operator_checks", lambda s: 3 + 4 * len(s["relative_step_sizes"]), _operators),
    "convergence": Step("convergence", lambda s: 1 + s["n_starts"] * len(s["relative_step_sizes"]), _convergence),
    "phase": Step("phase", lambda s: 2 * int(s["strengths"]["count"]), _phase),
    "strengths": Step("phase", lambda s: 0, _strengths),
    "dynamics": Step("dynamics", lambda s: s["n_starts"] * len(iterations.METHODS), _dynamics),
    "damping": Step(
        "damping",
        lambda s: s["n_starts"] * len(s["strengths"]) * (1 + 2 * len(s["step_shares"])),
        _damping,
    ),
    "basins": Step("basins", lambda s: 2 * len(s["relative_step_sizes"]) + 3, _basins),
    "ctd_many": Step(
        "ctd",
        lambda s: s["n_replicates"] + s["other_replicates"] * (len(s["n_waiting"]) - 1),
        _ctd_many,
    ),
    "ctd_few": Step("ctd", lambda s: s["n_replicates"] * (len(s["populations"]) - 1), _ctd_few),
    "moments": Step("ctd", lambda s: 1 + len(s["exact_waiting"]), _moments),
    "epsilon": Step("epsilon_sweep", lambda s: len(s["games"]["epsilons"]) * s["n_replicates"], _epsilon),
    "prescribed": Step("prescribed", lambda s: len(s["games"]) * s["n_replicates"], _prescribed),
    "coupling": Step(
        "coupling",
        lambda s: len(coupling_measure.METHODS) * len(s["games"]["updates"]) * s["n_replicates"],
        _coupling,
    ),
    "bias": Step("bias", lambda s: len(s["populations"]) * s["n_replicates"], _bias),
    "exact": Step("exact", _count("populations"), _exact),
    "agreement": Step("agreement", _count("populations"), _agreement),
    "nash": Step("nash", _count("populations"), _nash),
    **{
        f"independent_{sweep}": Step("independent", ticks, _independent(sweep))
        for sweep, ticks in {
            "updates": lambda s: len(s["updates"]) * s["n_replicates"],
            "step_sizes": lambda s: len(s["step_sizes"]) * s["n_replicates"],
            "populations": lambda s: sum(s["population_replicates"]),
            "epsilons": lambda s: len(s["epsilons"]) * s["n_replicates"],
        }.items()
    },
    "comparison": Step("comparison", _comparison_runs, _comparison),
}

#: The claims on one game, by their names.
CLAIMS = {name: claim for name, claim in registry.claims().items() if claim.steps}

#: Claims that are about many games at once.
MANY_GAMES = tuple(name for name, claim in registry.claims().items() if not claim.steps)

#: Which of the two is tested depends on the game.
_EITHER = ("C6-smooth", "C6-kinked")


def named(name: str) -> str:
    """Return the claim of this name, in any capitals.

    Raises
    ------
    InputError
        For another name, with the nearest claims; for a claim on many games.
    """
    known = {claim.lower(): claim for claim in CLAIMS}
    if name.lower() in known:
        return known[name.lower()]
    if name.lower() in {claim.lower() for claim in MANY_GAMES}:
        raise InputError(
            SOURCE, "claim", name, "a claim on one game; this one is about a grid of games: `pma-replicate atlas`"
        )
    near = [known[found] for found in difflib.get_close_matches(name.lower(), known, 3, 0.5)]
    allowed = f"{' or '.join(near)}; `pma-mfg verify --list` lists all" if near else "one of `pma-mfg verify --list`"
    raise InputError(SOURCE, "claim", name, allowed)


def steps(claim: str, picture: bool) -> tuple[str, ...]:
    """Return the steps that a claim needs, and with a picture those of its figure."""
    wanted = CLAIMS[claim]
    return wanted.steps + (wanted.more if picture else ())


def settings(names: Iterable[str], subject: Subject) -> dict[str, Settings]:
    """Return the settings of each step, or refuse the game before any of them is run.

    Parameters
    ----------
    names : iterable of str
        Of `STEPS`.
    subject : Subject

    Returns
    -------
    dict of str to dict

    Raises
    ------
    InputError
        If the game cannot enter one of them; it says why, and what would do.
    """
    sections = {STEPS[name].section: {} for name in names}  # type: dict[str, Settings]
    for section in sections:
        try:
            sections[section] = plan.settings(section, subject)
        except InputError as refused:
            if section != "prescribed" or (strength := prescribed_strength(subject)) is None:
                raise
            allowed = f"{refused.allowed}; --strength {strength:g} would do"
            raise InputError(refused.source, refused.field, refused.value, allowed) from None
    return {name: sections[STEPS[name].section] for name in names}


def run(
    chosen: Mapping[str, Settings], subject: Subject, seed: int, advance: Callable[[], None] = lambda: None
) -> Tables:
    """Run steps and return their tables, by their names in the pipeline.

    Parameters
    ----------
    chosen : mapping of str to dict
        Of `settings`.
    subject : Subject
    seed : int
        Root seed.
    advance : callable
        Called as often as the steps' ``ticks`` say.

    Returns
    -------
    dict of str to DataFrame
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for name, sizes in chosen.items():
        for table, rows in STEPS[name].run(subject, sizes, seed, lambda *_: advance()).items():
            parts.setdefault(table, []).append(rows)
    return {table: pd.concat(rows, ignore_index=True) if len(rows) > 1 else rows[0] for table, rows in parts.items()}


def judge(claim: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the verdict on a claim, a record of `verdicts.evaluate`, from the tables of its steps."""
    read = {name: tables[name] for name in CLAIMS[claim].verified or CLAIMS[claim].tables}
    records = verdicts.evaluate(read, own=(), **plan.TOLERANCES)
    wanted = _EITHER if claim in _EITHER else (claim,)
    found = [record for record in records if record["id"] in wanted]
    if not found:  # tables without a row of the game
        raise InputError(SOURCE, claim, Description("nothing to judge"), "a game on which something was measured")
    return found[0]


def reference() -> Subject:
    """Return the game of which the times are told where none is given: `crowd_averse` with 5 states and 3 actions."""
    game = games.make("crowd_averse", n_states=5, n_actions=3, discount=0.9, seed=1)
    regularizer = regularizers.Entropy(0.2)
    return Subject(game, regularizer, "entropy", "reference", equilibrium.solve(game, regularizer).policy)


def listing(subject: Subject, units: cost.Units) -> list[dict[str, Any]]:
    """Return every claim with its words and what it costs on a game, or why the game cannot enter it.

    Parameters
    ----------
    subject : Subject
    units : cost.Units
        Of the same game.

    Returns
    -------
    list of dict
        With keys claim, words, seconds and seconds_with_plot (predicted processor time, None without), reason (None if
        the claim can be tested).
    """
    chosen, left_out = plan.all_settings(subject)
    seconds = {
        name: cost.step_seconds(name, chosen[s.section], units) for name, s in STEPS.items() if s.section in chosen
    }
    rows = []
    for name, claim in CLAIMS.items():
        missing = [STEPS[step].section for step in claim.steps if STEPS[step].section in left_out]
        plain, drawn = (
            None if missing else sum(seconds.get(step, 0.0) for step in steps(name, picture))
            for picture in (False, True)
        )
        reason = left_out[missing[0]] if missing else None
        rows.append(
            {"claim": name, "words": claim.words, "seconds": plain, "seconds_with_plot": drawn, "reason": reason}
        )
    return rows


def in_words(record: Mapping[str, Any], subject: Subject) -> list[str]:
    """Return a verdict in lines for readers: what was measured, what was expected; last, what came out."""

    def number(value: float | None, unlimited: str) -> str:
        return unlimited if value is None else f"{value:.4g}"

    low, high = record["interval"]
    least, most = record["expected"]
    if record["estimate"] is None:
        measured = "nothing could be measured"
    else:
        measured = f"{record['estimate']:.4g}"
        if low != high:
            measured += f", interval {number(low, '-infinity')} to {number(high, 'infinity')}"
    if least is None or most is None:
        expected = f"at most {number(most, '')}" if least is None else f"at least {number(least, '')}"
    else:
        expected = f"{number(least, '')} to {number(most, '')}"
    meaning = {
        "confirmed": "as expected: the whole interval lies in the expected range",
        "not confirmed": "not what is expected: the whole interval lies outside the expected range",
        "inconclusive": "undecided: the interval crosses the border of the expected range, or nothing was tested",
    }[record["verdict"]]
    what_would = _would_decide(record, subject) if record["verdict"] == "inconclusive" else ""
    return [
        f"claim      {record['id']}: {record['statement']}",
        f"quantity   {record['quantity']}",
        f"measured   {measured}",
        f"expected   {expected}",
        f"how        {record['how']}",
        f"verdict    {record['verdict']} on {subject.name}: {meaning}{what_would}",
    ]


def _would_decide(record: Mapping[str, Any], subject: Subject) -> str:
    """Return what would decide a claim on bounds that are infinite, or above 1, for this game."""
    bound = {"C1b": "paper", "C1d": "paper", "C1d-certificate": "certificate"}.get(record["id"])
    if bound is None or not isinstance(subject.game, MeanFieldGame):
        return ""
    table = phase_measure.certified_strengths(subject.game, subject.name)
    rows = table[(table["bound"] == bound) & (table["regularizer"] == subject.kind)]
    smallest = float(rows["smallest_strength"].min())
    if not math.isfinite(smallest):
        return "; no strength of this regularizer would do, as the population is not known to contract (L_pop)"
    return f"; --strength {smallest:.3g} would do, the smallest at which the bound is below 1"


def picture(claim: str, tables: Mapping[str, pd.DataFrame]) -> Any:
    """Return the figure of a claim, drawn from the tables of its steps.

    Parameters
    ----------
    claim : str
    tables : mapping of str to DataFrame
        Of `run` with the steps of `steps(claim, picture=True)`. Tables of the figure that belong to other claims may be
        missing: they are taken as empty.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = CLAIMS[claim].figure
    drawn = registry.draw(figure)
    return drawn.figure(
        drawn.data(*(tables[name] if name in tables else _empty(name) for name in registry.figures()[figure]))
    )


#: Columns of tables that figures look at even where there is no row.
_COLUMNS = {
    "schedules": ("epsilon",),
    "population": ("n_agents", "epsilon"),
    "exact": ("n_agents", "deviation", "predicted_deviation", "q_error", "predicted_q_error"),
}


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in ("game", *_COLUMNS.get(name, ()))})
