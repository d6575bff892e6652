"""Experiment: games with several equilibria."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="games with several equilibria",
    place=6,
    tables={
        "departures": table("basins", "departures/{game}"),
        "basins": table("basins", "basins/{game}"),
        "several": table("basins", "several/{game}"),
    },
    claims={
        "C2-coordination": Claim(
            words="where agents gather, no step size holds PMA at an equilibrium between crowds (several equilibria "
            "needed)",
            rival="some step size holds PMA at the equilibrium",
            standing="ours",
            nature="identity",
            judge="not_held",
            tables=("departures",),
            steps=("basins",),
            figure="orbit",
            more=("dynamics", "orbit"),
        ),
        "C2-departure": Claim(
            words="where agents gather, PMA leaves an equilibrium between crowds from every start nearby "
            "(several equilibria needed)",
            rival="there is no game: PMA comes back from every start nearby",
            standing="ours",
            judge="left",
            tables=("departures",),
            steps=("basins",),
            figure="orbit",
            more=("dynamics", "orbit"),
        ),
    },
)
