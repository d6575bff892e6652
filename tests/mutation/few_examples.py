"""A pytest plugin for mutation testing: few Hypothesis examples."""

from hypothesis import settings


def pytest_configure() -> None:
    """Replace the project's profile, which tests/conftest.py has loaded by now."""
    settings.register_profile("few", derandomize=True, deadline=None, max_examples=5)
    settings.load_profile("few")
