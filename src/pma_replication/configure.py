"""A configuration of the whole pipeline for one game, as text: `pma-mfg config`.

Sizes are those of `pma_replication.plan`, times those of `pma_replication.cost`. What a game cannot enter is left out,
with a comment that says why.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from pma_mfg import equilibrium, regularizers
from pma_replication import configuration, cost, plan
from pma_replication.experiments.samples.sizes import prescribed_strength
from pma_replication.plan import Subject

WIDTH = 110


def settings(
    subject: Subject, described: Mapping[str, Any], after_section: Callable[[], None] = lambda: None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a configuration for one game, and for each section left out the reason.

    Where the theorem prescribes nothing that can be run, a copy of the game with a stronger regularizer enters
    `samples_prescribed` if there is one.

    Parameters
    ----------
    subject : Subject
    described : mapping
        The game's entry under ``games``: family and parameters, or file.
    after_section : callable
        Called after each section.

    Returns
    -------
    made : dict
    left_out : dict of str to str
    """
    chosen, left_out = plan.all_settings(subject, after_section)
    name, regularized = subject.name, {"regularizer": subject.kind, "strength": subject.regularizer.strength}
    made: dict[str, Any] = {
        "seed": 0,  # that of `pma-mfg verify`, whose runs these are
        "results": f"results/{name}",
        "figures": f"results/{name}/figures",
        "games": {name: {**described, **regularized}},
    }
    sections = {section: plan.with_game(section, sizes, name) for section, sizes in chosen.items()}
    if "samples_prescribed" in left_out and (strength := prescribed_strength(subject)) is not None:
        regularizer = regularizers.make(subject.kind, strength)
        found = equilibrium.solve(subject.game, regularizer)
        strong = Subject(subject.game, regularizer, subject.kind, f"{name}_strong", found.policy)
        made["games"][strong.name] = {**described, **regularized, "strength": strength}
        sections["samples_prescribed"] = plan.with_game(
            "samples_prescribed", plan.settings("samples_prescribed", strong), strong.name
        )
        del left_out["samples_prescribed"]
    made |= {section: sections[section] for section in plan.sections() if section in sections}
    made["claims"] = dict(plan.TOLERANCES)
    return made, left_out


def text(made: Mapping[str, Any], left_out: Mapping[str, str], command: str, *, seconds: Mapping[str, float]) -> str:
    """Return a configuration as YAML with comments: what each section is, its time, and why others are missing.

    Parameters
    ----------
    made : mapping
        A configuration.
    left_out : mapping of str to str
        Section -> why.
    command : str
        That writes it.
    seconds : mapping of str to float
        Of `cost.predicted`.

    Returns
    -------
    str
    """
    total = sum(seconds.values())
    parts = [
        _comment(
            f"Written by `{command}`. Sizes fit this game; change what you like: config/README.md explains every key.\n"
            f"Predicted: {total:.0f} s of processor time, {cost.in_words(total / 2)} on two cores, of which "
            f"{seconds['rest']:.0f} s for games, tables and figures. Times below are predicted processor seconds on "
            "the machine that wrote this."
        )
    ]
    head = {key: made[key] for key in ("seed", "results", "figures", "games")}
    parts.append(_yaml(head))
    for section in plan.sections():
        if section in made:
            parts.append(_comment(f"{_words(section)} {seconds[section]:.0f} s.") + _yaml({section: made[section]}))
        else:
            parts.append(_comment(f"{section} is left out ({_words(section).rstrip('.')}): {left_out[section]}"))
    told = "Confidence of the intervals, and tolerances of the verdicts: config/README.md."
    parts.append(_comment(told) + _yaml({"claims": made["claims"]}))
    return "\n".join(parts)


def game_name(path: str) -> str:
    """Return a name for a game in a configuration, from that of its file."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", path).strip("_") or "game"
    return (plain if plain[0].isalpha() else f"game_{plain}")[:56]


def _words(section: str) -> str:
    """Return what a section does, in plain words."""
    return str(configuration.SECTIONS[section].__doc__).splitlines()[0]


def _comment(words: str) -> str:
    lines = [line for paragraph in words.splitlines() for line in textwrap.wrap(paragraph, WIDTH - 2)]
    return "".join(f"# {line}\n" for line in lines)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=WIDTH, allow_unicode=True)
