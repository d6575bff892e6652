"""The figures by name: the tables that each is drawn from, the numbers drawn, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd
from matplotlib.figure import Figure

from pma_replication.experiments.atlas import draw as atlas_draw
from pma_replication.experiments.bounds import draw as bounds_draw
from pma_replication.experiments.comparison import draw as comparison_draw
from pma_replication.experiments.contraction import draw as contraction_draw
from pma_replication.experiments.ctd import draw as ctd_draw
from pma_replication.experiments.dynamics import draw as dynamics_draw
from pma_replication.experiments.equilibria import draw as equilibria_draw
from pma_replication.experiments.independent import draw as independent_draw
from pma_replication.experiments.literature import draw as literature_draw
from pma_replication.experiments.nash import draw as nash_draw
from pma_replication.experiments.orbit import draw as orbit_draw
from pma_replication.experiments.phase import draw as phase_draw
from pma_replication.experiments.populations import draw as populations_draw
from pma_replication.experiments.samples import draw as samples_draw

#: Figure -> its tables, what makes the numbers drawn of them, and what draws these.
FIGURES: dict[str, tuple[tuple[str, ...], Callable[..., pd.DataFrame], Callable[[pd.DataFrame], Figure]]] = {
    "contraction": (("iterates", "rates"), contraction_draw.data, contraction_draw.figure),
    "dynamics": (("histories", "outcomes"), dynamics_draw.data, dynamics_draw.figure),
    "orbit": (("orbits", "attractors"), orbit_draw.data, orbit_draw.figure),
    "samples": (("schedules", "epsilon", "prescribed", "independent_epsilon"), samples_draw.data, samples_draw.figure),
    "ctd": (("ctd", "moments"), ctd_draw.data, ctd_draw.figure),
    "comparison": (("comparison",), comparison_draw.data, comparison_draw.figure),
    "nash": (("nash",), nash_draw.data, nash_draw.figure),
    "populations": (("bias", "exact", "population", "limits"), populations_draw.data, populations_draw.figure),
    "equilibria": (("equilibria",), equilibria_draw.data, equilibria_draw.figure),
    "independent": (("independent",), independent_draw.data, independent_draw.figure),
    "phase": (("phase",), phase_draw.data, phase_draw.figure),
    "bounds": (("ratios",), bounds_draw.data, bounds_draw.figure),
    "gallery": (("zoo", "zoo_states"), literature_draw.data, literature_draw.figure),
    "atlas": (("atlas",), atlas_draw.data, atlas_draw.figure),
}


def drawn(tables: Iterable[str]) -> list[str]:
    """Return the names of the figures that can be drawn from tables of these names."""
    return [name for name, (needed, _, _) in FIGURES.items() if set(needed) <= set(tables)]
