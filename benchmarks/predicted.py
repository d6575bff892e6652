"""Tell what `pma_replication.cost` predicts of every part of a finished run, beside what its jobs used.

Prints a table, of processor seconds:

    OPENBLAS_NUM_THREADS=1 python benchmarks/predicted.py config/config.yaml [RESULTS] [--sections nash ctd ...]

for the results of the configuration, or those in RESULTS. What a job used is what it tells at the end of its log. A
rule that runs once for all games together, and sections that make their own games, have no prediction of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pma_replication import configuration, cost, plan
from pma_replication.runs import times

#: The rule of each step of a section, where it is not "<step>_measure", and what its jobs' names hold beside the game.
RULES = {
    "annealing": ("regularization_anneal", ""),
    "ctd_many": ("ctd_errors", "most"),
    "ctd_few": ("ctd_errors", "few"),
    "ctd_moments": ("ctd_moments", ""),
    "independent_step_sizes": ("independent_measure", "step_sizes"),
    "independent_populations": ("independent_measure", "populations"),
    "independent_epsilons": ("independent_epsilons", ""),
    "paths": ("paths_follow", ""),
    **{
        name: (name, "")
        for name in (
            "independent_games",
            "nash_learned",
            "populations_agreement",
            "populations_bias",
            "populations_exact",
            "populations_learned",
            "samples_prescribed",
            "samples_tuned",
        )
    },
}


def used(logs: Path, step: str, game: str, others: Iterable[str], settings: plan.Settings) -> float | None:
    """Return the processor seconds of a step's jobs for one game of all; None if there are none."""
    rule, kind = RULES.get(step, (f"{step}_measure", ""))
    most = f"_{max(settings.get('populations', [0]))}"
    found = []
    for log in sorted((logs / rule).glob(f"{game}*.log")):
        rest = log.stem.removeprefix(game)
        wanted = {"": True, "most": rest == most, "few": rest != most}.get(kind, rest == f"_{kind}")
        # another game's name may begin with that of this one
        own = not any(len(other) > len(game) and log.stem.startswith(other) for other in others)
        if own and wanted:
            found.append(times.used(Path(str(log).replace("/logs/", "/benchmarks/")).with_suffix(".tsv"))[0])
    return sum(found) if found else None


def rows(
    settings: plan.Settings, logs: Path, units: Mapping[str, cost.Units]
) -> Iterator[tuple[str, str, float, float]]:
    """Yield step, game, predicted and used seconds, for every step of every game in `units` that has both."""
    for name, step in plan.steps().items():
        chosen = settings.get(step.section)
        if not chosen or name == "strengths":  # it is a part of `phase`
            continue
        for game in chosen["games"]:
            of_game = chosen["games"]
            one = {**chosen, "games": of_game[game] if isinstance(of_game, dict) else of_game}
            if game in units and (seconds := used(logs, name, game, settings["games"], one)) is not None:
                yield name, game, step.seconds(units[game], one) + cost.JOB * step.jobs(one), seconds


def main() -> None:
    """Print the table: each job, and the sum of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration")
    parser.add_argument("results", nargs="?")
    parser.add_argument("--sections", nargs="+")
    options = parser.parse_args()
    settings = configuration.load(options.configuration)
    if options.sections:
        kept = {"games", "results", *options.sections}
        settings = {key: value for key, value in settings.items() if key in kept}
    inside = {game for section in plan.sections() if settings.get(section) for game in settings[section]["games"]}
    chosen = {**settings, "games": {name: settings["games"][name] for name in settings["games"] if name in inside}}
    units = cost.measure_all(chosen)
    found = list(rows(settings, Path(options.results or settings["results"], "logs"), units))
    print("| step | game | predicted | used | ratio |\n|---|---|---|---|---|")
    for step in dict.fromkeys(row[0] for row in found):
        of_step = [row for row in found if row[0] == step]
        for _, game, predicted, seconds in of_step:
            print(f"| {step} | {game} | {predicted:.1f} | {seconds:.1f} | {predicted / seconds:.2f} |")
        predicted, seconds = sum(row[2] for row in of_step), sum(row[3] for row in of_step)
        print(f"| **{step}** | all | {predicted:.1f} | {seconds:.1f} | {predicted / seconds:.2f} |")
    predicted, seconds = sum(row[2] for row in found), sum(row[3] for row in found)
    print(f"| **all** | | {predicted:.1f} | {seconds:.1f} | {predicted / seconds:.2f} |")


if __name__ == "__main__":
    main()
