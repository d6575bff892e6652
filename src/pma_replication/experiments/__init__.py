"""One folder for each experiment: its settings, what it measures, how it is judged, how it is drawn."""

import importlib
import importlib.util
import pkgutil
from typing import Any


def joined(module: str, name: str) -> dict[str, Any]:
    """Return the mappings called `name` in the module of this name of all experiments that have it, as one."""
    found: dict[str, Any] = {}
    for folder in pkgutil.iter_modules(__path__, f"{__name__}."):
        if importlib.util.find_spec(f"{folder.name}.{module}"):
            found |= getattr(importlib.import_module(f"{folder.name}.{module}"), name)
    return found
