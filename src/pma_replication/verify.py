"""One claim on one game: what has to be run, at which sizes, judged as in the pipeline.

Each claim of docs/theory, section 12, says in the registry in plain words what it says, which steps it needs and
which figure shows it; the steps call the experiments, those of the pipeline, with the sizes of `pma_replication.plan`.
The judge is `verdicts.evaluate`, with the tolerances `plan.TOLERANCES`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from pma_mfg import equilibrium, games, regularizers
from pma_mfg.errors import Description, InputError
from pma_replication import cost, plan, registry, verdicts
from pma_replication.experiments.phase import measure as phase_measure
from pma_replication.experiments.samples.sizes import prescribed_strength
from pma_replication.plan import Settings, Subject, Tables

SOURCE = "pma-mfg verify"


#: What is run on one game, by the names that claims call it.
STEPS = {name: step for name, step in plan.steps().items() if step.run is not None}

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
        experiment = next(
            of for of, each in registry.experiments().items() if name.lower() in map(str.lower, each.claims)
        )
        about = {"scaling": "a line of games", "networked": "several ways of learning"}
        where = f"{about.get(experiment, 'a grid of games')}: `pma-replicate {experiment}`"
        raise InputError(SOURCE, "claim", name, f"a claim on one game; this one is about {where}")
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
            if section != "samples_prescribed" or (strength := prescribed_strength(subject)) is None:
                raise
            allowed = f"{refused.allowed}; --strength {strength:g} would do"
            raise type(refused)(refused.source, refused.field, refused.value, allowed) from None
    return {name: sections[STEPS[name].section] for name in names}


def beyond_budget(claim: str, subject: Subject, refused: plan.BeyondBudget) -> dict[str, Any]:
    """Return the record of a claim that no size within the budget decides: inconclusive, and what would decide it."""
    return {
        "id": claim,
        "game": subject.name,
        "statement": CLAIMS[claim].words,
        "rival": CLAIMS[claim].rival,
        "verdict": "inconclusive",
        "how": f"not run: {refused.value}; allowed is {refused.allowed}",
    }


def run(
    chosen: Mapping[str, Settings], subject: Subject, seed: int, *, advance: Callable[[], None] = lambda: None
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
        make = STEPS[name].run
        assert make is not None  # else it is not in STEPS
        for table, rows in make(subject, sizes, seed, lambda *_: advance()).items():
            parts.setdefault(table, []).append(rows)
    return {table: pd.concat(rows, ignore_index=True) if len(rows) > 1 else rows[0] for table, rows in parts.items()}


def judge(claim: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the verdict on a claim, a record of `verdicts.evaluate`, from the tables of its steps."""
    read = {name: tables[name] for name in CLAIMS[claim].tables}
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


def listing(
    subject: Subject, units: cost.Units, after_section: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Return every claim with its words and what it costs on a game, or why the game cannot enter it.

    Parameters
    ----------
    subject : Subject
    units : cost.Units
        Of the same game.
    after_section : callable
        Called after the sizes of each section.

    Returns
    -------
    list of dict
        With keys claim, words, seconds and seconds_with_plot (predicted processor time, None without), reason (None if
        the claim can be tested).
    """
    chosen, left_out = plan.all_settings(subject, after_section)
    seconds = {name: s.seconds(units, chosen[s.section]) for name, s in STEPS.items() if s.section in chosen}
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
        "confirmed": "as expected, and not as the rival predicts",
        "vacuous": "as expected, but the rival is not rejected",
        "not confirmed": "not what is expected: the whole interval lies outside the expected range",
        "inconclusive": f"undecided: {_why_undecided(record)}",
    }[record["verdict"]]
    if record["nature"] == "identity" and record["verdict"] == "vacuous":
        meaning = "as expected, which follows from definitions and could not have been otherwise"
    power = f" (power {record['power']:.3g})" if record["power"] is not None else ""
    what_would = _would_decide(record, subject) if record["verdict"] == "inconclusive" else ""
    return [
        f"claim      {record['id']}: {record['statement']}",
        f"quantity   {record['quantity']}",
        f"measured   {measured}",
        f"expected   {expected}",
        f"rival      {record['rival']}: {record['rival_prediction']}{power}",
        f"how        {record['how']}",
        last_line(record, f"{meaning}{what_would}"),
    ]


def _why_undecided(record: Mapping[str, Any]) -> str:
    """Return which of the reasons for an inconclusive verdict holds."""
    if record["too_small"]:
        return str(record["how"]).partition(";")[0]
    return (
        "nothing could be tested" if record["estimate"] is None else "the interval crosses a border of what is expected"
    )


def last_line(record: Mapping[str, Any], meaning: str) -> str:
    """Return the line with the verdict and what it means."""
    return f"verdict    {record['verdict']} on {record['game']}: {meaning}"


def _would_decide(record: Mapping[str, Any], subject: Subject) -> str:
    """Return what would decide a claim on bounds that are infinite, or above 1, for this game."""
    bound = {"C1b": "paper", "C1d": "paper", "C1d-certificate": "certificate"}.get(record["id"])
    if bound is None or not subject.game.has_features:
        return ""
    kinds = [kind for kind in phase_measure.REGULARIZERS if kind == subject.kind]
    table = phase_measure.certified_strengths(subject.game, subject.name, kinds=kinds, bounds=[bound])
    smallest = float(table["smallest_strength"].min())
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
        drawn.data(*(tables[name] if name in tables else registry.empty(name) for name in registry.figures()[figure]))
    )
