"""Intervals cover what they claim to cover, and slopes are those of the data."""

from __future__ import annotations

import numpy as np
import pytest

from pma_mfg import seeds, statistics
from pma_mfg.errors import InputError


@pytest.mark.parametrize("n_replicates", [8, 16])
def test_interval_of_a_mean_covers_it_as_often_as_stated(n_replicates: int) -> None:
    rng = np.random.default_rng(0)
    trials = 200
    covered = 0
    for _ in range(trials):
        found = statistics.mean_interval(rng.normal(1.0, 1.0, size=n_replicates), rng)
        covered += found.low <= 1.0 <= found.high
    # Binomial(200, 0.95) has a standard deviation of 3.1; five below, since coverage may exceed but not fall short
    assert covered >= 0.95 * trials - 5 * np.sqrt(trials * 0.95 * 0.05)


def test_the_planted_error_of_the_plain_percentile_interval_is_detected() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = rng.normal(1.0, 1.0, size=4)
        draws = values[rng.integers(4, size=(2000, 4))].mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        covered += low <= 1.0 <= high
    assert covered < 190 - 5 * 3.1


def test_slope_of_a_power_law_is_its_exponent() -> None:
    x = [1.0, 10.0, 100.0, 1000.0]
    # a log-linear fit of exact data is exact to rounding
    assert statistics.log_log_slope(x, [3.0 * value**-0.5 for value in x]) == pytest.approx(-0.5, abs=1e-14)


def test_slope_interval_shrinks_with_the_noise_and_contains_the_exponent() -> None:
    rng = np.random.default_rng(1)
    x = [10.0, 100.0, 1000.0]
    widths = []
    for noise in (0.3, 0.03):
        groups = [value**-0.5 * np.exp(noise * rng.normal(size=16)) for value in x]
        found = statistics.slope_interval(x, groups, rng)
        assert found.low <= -0.5 <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < 0.2 * widths[0]


def test_bootstrap_is_the_same_for_the_same_generator() -> None:
    values = np.arange(8.0)
    first, second = (statistics.mean_interval(values, seeds.generator(0, "same")) for _ in range(2))
    assert first == second
    assert first.low < first.value == 3.5 < first.high


def test_one_replicate_has_no_interval() -> None:
    with pytest.raises(InputError, match=r"groups\[0\]: got 1 replicates, expected at least 2"):
        statistics.mean_interval(np.ones(1), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("target", "expected"), [(0.1, 100.0), (0.5, 4.0), (2.0, 1.0), (1e-9, float("inf")), (10**-1.5, 1000.0)]
)
def test_samples_to_reach_interpolates_a_power_law_exactly(target: float, expected: float) -> None:
    samples = [1.0, 10.0, 100.0, 1000.0, 10_000.0]
    errors = [value**-0.5 for value in samples]
    # the error is m^-1/2, so the target is reached at target^-2, or at the first sample
    assert statistics.samples_to_reach(target, samples, errors) == pytest.approx(expected, rel=1e-12)


def test_runs_measured_at_all_points_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    x = [10.0, 100.0, 1000.0]
    level = np.exp(rng.normal(size=24))  # a run that is bad at one point is bad at all
    groups = [level * value**-0.5 * np.exp(0.01 * rng.normal(size=24)) for value in x]
    together, apart = (statistics.slope_interval(x, groups, np.random.default_rng(3), paired=p) for p in (True, False))
    # the common factor moves no slope: only the 1 % of noise is left
    assert together.low <= -0.5 <= together.high
    assert together.high - together.low < 0.05 * (apart.high - apart.low)
