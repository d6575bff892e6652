"""One Hypothesis profile for all tests, and a numba cache that parallel workers find ready."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import settings

# the same examples on every run, and no wall-clock limits
settings.register_profile("project", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Import QuantEcon once before any worker starts: workers that compile it at the same time spoil numba's cache."""
    if not hasattr(config, "workerinput"):
        importlib.import_module("quantecon")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the run of the whole pipeline: the longest, it would otherwise keep one worker busy at the end."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")
