"""Intervals cover what they claim to cover, and slopes are those of the data."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import binom, f, norm, t
from tests.statistical import Level

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.experiments.comparison import medians


@pytest.mark.statistical(false_alarm=1e-6, power=1 - 1e-9, against="the plain percentile interval of eight replicates")
@pytest.mark.parametrize("n_replicates", [8, 16])
def test_interval_of_a_mean_is_as_long_as_students_and_covers_as_often(
    n_replicates: int, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng, trials = np.random.default_rng(0), 200
    covered, lengths = 0, []
    for _ in range(trials):
        values = rng.normal(1.0, 1.0, size=n_replicates)
        found = statistics.mean_interval(values, rng)
        covered += found.low <= 1.0 <= found.high
        student = 2.0 * t.isf(0.025, n_replicates - 1) * values.std(ddof=1) / np.sqrt(n_replicates)
        lengths.append([(found.high - found.low) / student])
    # what is missing to 0.95, and to Student's length, is the discreteness of so few
    level.accept(binom.cdf(covered, trials, 0.92), share=0.5)
    # the plain one is that of normal numbers with variance over n, not n - 1
    plain = np.sqrt(7 / 8) * norm.isf(0.025) / t.isf(0.025, 7)
    level.means(lengths, 1.0, bias=0.08, planted=plain, share=0.5)


def test_slope_of_a_power_law_is_its_exponent() -> None:
    x = [1.0, 10.0, 100.0, 1000.0]
    # a log-linear fit of exact data is exact to rounding
    assert statistics.log_log_slope(x, [3.0 * value**-0.5 for value in x]) == pytest.approx(-0.5, abs=1e-14)


def covering(interval: statistics.Estimate, truth: float, degrees: int) -> float:
    """Return the largest p at which the interval of confidence 1 - p holds the truth, from that of 0.95."""
    side = interval.high - interval.value if truth > interval.value else interval.value - interval.low
    return float(2.0 * t.sf(abs(truth - interval.value) / side * t.isf(0.025, degrees), degrees))


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a slope off by 0.3, a width by a factor of two")
def test_slope_interval_shrinks_with_the_noise_and_contains_the_exponent(level: Level) -> None:
    rng = np.random.default_rng(1)
    x = [10.0, 100.0, 1000.0]
    widths, normal = [], rng.normal(size=(3, 16))
    for noise in (0.3, 0.03):
        groups = [value**-0.5 * np.exp(noise * row) for value, row in zip(x, normal, strict=True)]
        found = statistics.slope_interval(x, groups, rng)
        level.accept(covering(found, -0.5, 15), share=0.5)
        widths.append(found.high - found.low)
    # the same normals, ten times smaller: up to the curvature of the exponential, and the resamples' own percents
    assert 0.05 * widths[0] < widths[1] < 0.2 * widths[0]
    # the slope of three means at a distance of log 10, each with the error 0.3 / 4
    level.show(norm.cdf(0.3 / (0.075 / (np.sqrt(2.0) * np.log(10.0))) - t.isf(0.25 * level.false_alarm, 15)))


def test_bootstrap_is_the_same_for_the_same_generator() -> None:
    values = np.arange(8.0)
    first, second = (statistics.mean_interval(values, seeds.generator(0, "same")) for _ in range(2))
    assert first == second
    assert first.low < first.value == 3.5 < first.high


def test_fewer_than_eight_replicates_have_a_value_and_no_interval() -> None:
    for n in (1, 7):
        found = statistics.mean_interval(np.arange(float(n)), np.random.default_rng(0))
        assert (found.value, found.replicates) == (0.5 * (n - 1), n)
        assert np.isnan([found.low, found.high]).all()
    assert np.isfinite(statistics.mean_interval(np.arange(8.0), np.random.default_rng(0)).low)
    # the smallest group decides
    paired = statistics.slope_interval([1.0, 2.0], [np.ones(9), np.ones(7)], np.random.default_rng(0))
    assert np.isnan(paired.low)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="the percentiles alone")
def test_interval_of_a_heavy_tailed_mean_covers_as_stated(level: Level) -> None:
    coverage = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "interval_coverage.py"))
    trials = 600
    found, _ = coverage["covered"]("mean", "log-normal, 1", 8, trials=trials, resamples=500)
    level.accept(binom.cdf(found, trials, 0.93))
    # the percentiles alone cover 83 % (benchmarks/interval_coverage.md), more than twice as many misses as stated
    level.show(binom.cdf(binom.ppf(level.false_alarm, trials, 0.93) - 1, trials, 0.83))


@pytest.mark.parametrize("n", [8, 35])
def test_one_replicate_that_is_orders_above_the_others_has_an_interval_of_its_own_scale(n: int) -> None:
    low, stuck = 1e-4, 8.0
    values = np.full(n, low) * np.linspace(0.5, 1.5, n)
    values[0] = stuck
    found = statistics.mean_interval(values, np.random.default_rng(0))
    student = float(-stdtrit(n - 1, 0.025))
    factor = np.exp(student * np.sqrt(1.0 + n * n / (n - 1)))
    assert found.value == pytest.approx(stuck / n, rel=1e-3)
    # by hand: the standard error of the mean is the mean, or a little less
    assert np.linalg.norm(values - values.mean()) / np.sqrt(n * (n - 1)) == pytest.approx(found.value, rel=1e-3)
    assert found.high <= 1.001 * factor * stuck / n
    # resamples without that replicate, or the factor
    assert 0.999 * min(low / 2.0, found.value / factor) <= found.low <= low
    # where no replicate stands out, nothing is cut off
    usual = np.exp(np.random.default_rng(1).normal(size=n))
    draws = np.random.default_rng(2).choice(usual, (2000, n)).mean(axis=1)
    made = statistics.interval(float(usual.mean()), draws, n, confidence=0.95, kind="mean")
    logs = np.log(draws)
    error = np.sqrt(n / (n - 1)) * np.linalg.norm(logs - logs.mean()) / np.sqrt(len(logs) - 1)
    assert error < 1.0
    assert made.high >= usual.mean() * np.exp(student * error * np.sqrt(1.0 + n * n / (n - 1) * error**2)) * (1 - 1e-12)


def test_the_tuned_medians_whose_coverage_is_measured_are_those_of_the_comparison() -> None:
    coverage = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "interval_coverage.py"))
    rates, costs = np.random.default_rng(0).random((2, 20, 3, 8))
    found = coverage["tuned_rates"](rates, costs)
    assert found.tolist() == [float(medians.tuned_median([*r, *c])) for r, c in zip(rates, costs, strict=True)]
    # without noise every run of the best setting is the same, and the interval is that number
    exact = coverage["Tuned"]((0.0, 1.0), (0.5, -2.0), 0.0)
    assert coverage["tuned_covered"](exact, 8, trials=2, resamples=50) == (2, 2, 1.0)


@pytest.mark.parametrize(
    ("target", "expected"), [(0.1, 100.0), (0.5, 4.0), (2.0, 1.0), (1e-9, float("inf")), (10**-1.5, 1000.0)]
)
def test_samples_to_reach_interpolates_a_power_law_exactly(target: float, expected: float) -> None:
    samples = [1.0, 10.0, 100.0, 1000.0, 10_000.0]
    errors = [value**-0.5 for value in samples]
    # the error is m^-1/2, so the target is reached at target^-2, or at the first sample
    assert statistics.samples_to_reach(target, samples, errors) == pytest.approx(expected, rel=1e-12)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="runs that are not drawn together")
def test_runs_measured_at_all_points_are_drawn_together(level: Level) -> None:
    rng = np.random.default_rng(2)
    x = [10.0, 100.0, 1000.0]
    common = np.exp(rng.normal(size=24))  # a run that is bad at one point is bad at all
    groups = [common * value**-0.5 * np.exp(0.01 * rng.normal(size=24)) for value in x]
    together, apart = (statistics.slope_interval(x, groups, np.random.default_rng(3), paired=p) for p in (True, False))
    # the common factor moves no slope: only the 1 % of noise is left, of standard deviations 0.01 in place of 1; twice
    # that for what is not normal. The ratio of two variances of 24 runs has the F law.
    level.accept(covering(together, -0.5, 23), share=0.5)
    ratio = (together.high - together.low) / (apart.high - apart.low)
    level.accept(f.sf((ratio / 0.02) ** 2, 23, 23), share=0.5)
    level.show(f.sf(f.isf(0.5 * level.false_alarm, 23, 23) * 0.02**2, 23, 23))  # not together, their ratio is one


@pytest.mark.parametrize("n", [*range(8, 20), 33, 129, 200])
def test_statistics_of_all_resamples_at_once_are_those_of_each_to_the_bit(n: int) -> None:
    rates = np.random.default_rng(n).lognormal(size=(2, n))
    costs = np.random.default_rng(n + 1).normal(size=(2, n))
    one, many = (
        statistics.bootstrap([*rates, *costs], medians.tuned_median, np.random.default_rng(0), along_last=along)
        for along in (False, True)
    )
    assert one == many
    mean = statistics.bootstrap([rates[0]], lambda drawn: float(drawn[0].mean()), np.random.default_rng(0), kind="mean")
    assert statistics.mean_interval(rates[0], np.random.default_rng(0)) == mean
