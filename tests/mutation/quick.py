"""A pytest plugin for mutation testing: few Hypothesis examples, and short samples."""

import pytest
from hypothesis import settings


def pytest_configure() -> None:
    """Replace the project's profile, which tests/conftest.py has loaded by now."""
    settings.register_profile("quick", derandomize=True, deadline=None, max_examples=3)
    settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Draw fewer runs of the simulators; the tests scale their tolerances with the number."""
    for module in {item.module for item in items if hasattr(item.module, "RUNS")}:
        module.RUNS, module.SIZES = 2000, [3, 30]
