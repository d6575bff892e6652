"""A pytest plugin for mutation testing: few Hypothesis examples, and short samples, whose power is not asked for."""

import pytest
from hypothesis import settings
from tests.statistical import Level

#: Runs of the simulators, and the sizes of a parametrized population that are kept.
RUNS, SIZES = 2000, [3, 30]


def pytest_configure() -> None:
    """Replace the project's profile, which tests/conftest.py has loaded by now."""
    settings.register_profile("quick", derandomize=True, deadline=None, max_examples=3)
    settings.load_profile("quick")
    Level.show = lambda self, power: setattr(self, "shows_power", True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Draw fewer runs of the simulators; the tests scale their tolerances with the number."""
    for module in {item.module for item in items if hasattr(item.module, "RUNS")}:
        dropped = set(module.SIZES) - set(SIZES)
        module.RUNS, module.SIZES = RUNS, SIZES
        items[:] = [item for item in items if item.module != module or _size(item) not in dropped]


def _size(item: pytest.Item) -> int | None:
    return item.callspec.params.get("n_agents") if hasattr(item, "callspec") else None
