"""One Hypothesis profile for all tests: the same examples on every run, and no wall-clock limits."""

from hypothesis import settings

settings.register_profile("project", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("project")
