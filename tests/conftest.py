"""One Hypothesis profile, the order of the files of tests, and the levels of statistical tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.statistical import Level

HERE = Path(__file__).parent

#: The files of tests that take longest, in this order. They begin: the last ones would keep one worker busy at the end.
FIRST = (
    "test_pipeline.py",
    "test_faults.py",
    "test_documentation.py",
    "test_figures.py",
    "test_verify.py",
    "test_planted_changes.py",
    "test_cli.py",
    "test_configuration.py",
    "test_hostile_input.py",
    "test_style.py",
    "test_extend.py",
)

# the same examples on every run, and no limits of time: neither of an example, nor of making them on a busy machine
settings.register_profile(
    "project", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that tests start write Python's bytecode at first use: they would compile for seconds."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for no garbage while tests are collected, and later not among what stays: some millions of objects.

    Where figures are drawn it is looked for in a tenth of the time at Python's thresholds, in half of that at these.
    """
    gc.disable()
    gc.set_threshold(2000, 20, 100)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files.

    Before some are deselected, note the statistical tests of `make test`, one entry a case: what it says, and its mark.
    """
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
    config.statistical_tests = [
        (f"{item.path.relative_to(HERE).with_suffix('')}: {statement(item)}", mark)
        for item in items
        if (mark := item.get_closest_marker("statistical")) and not item.get_closest_marker("interop")
    ]


def statement(item: pytest.Item) -> str:
    """Return the name of a test in words."""
    return item.originalname.removeprefix("test_").replace("_", " ")


@pytest.fixture
def level(request: pytest.FixtureRequest) -> Level:
    """What a test with the mark `statistical` may spend on false alarms (docs/testing.md)."""
    mark = request.node.get_closest_marker("statistical")
    assert mark is not None, "a test that compares draws states its false alarm and its power"
    return Level(mark.kwargs["false_alarm"], mark.kwargs["power"])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Of a test that passed, the false alarm must have been used up, and the power shown, here or by another test."""
    result = yield
    level = pyfuncitem.funcargs.get("level")
    if level is not None:
        assert level.spent == pytest.approx(1.0), "the shares of the false alarm do not sum to one"
        assert level.shows_power or "shown_by" in pyfuncitem.get_closest_marker("statistical").kwargs
    return result
