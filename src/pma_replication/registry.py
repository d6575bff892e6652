"""The experiments by their names: a folder of `pma_replication.experiments` is one, and says of itself what it is.

Its `EXPERIMENT` is read here, and nothing that computes is imported before it is asked for by `load`: Snakemake reads
the registry whenever it reads the rules.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

from pma_replication import experiments as folder
from pma_replication.experiment import Experiment


@functools.cache
def experiments() -> dict[str, Experiment]:
    """Return the experiments by their names, in the order in which they are told."""
    found = {
        module.name: importlib.import_module(f"{folder.__name__}.{module.name}").EXPERIMENT
        for module in pkgutil.iter_modules(folder.__path__)
        if module.ispkg
    }
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def load(name: str, part: str) -> ModuleType:
    """Import a part of an experiment: "commands", "measure", "judge" or "draw"."""
    return importlib.import_module(f"{folder.__name__}.{name}.{part}")
