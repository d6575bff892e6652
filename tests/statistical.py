"""Verdicts on random draws: each test says how often it fails though nothing is wrong, and uses that number.

A test whose verdict depends on draws carries the mark `statistical(false_alarm, power, against)` and makes every
comparison through the fixture `level` (`tests/conftest.py`), which turns the stated probability into critical values.
What is tested, what it sees, and the sum of the false alarms of one run: docs/testing.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, chisquare, nct, ncx2, norm, t

#: One run of all tests raises a false alarm at most this often, over the seeds.
BUDGET = 1e-4


def of_means(samples: ArrayLike, expected: ArrayLike, bias: ArrayLike = 0.0) -> np.ndarray:
    """Return two-sided p-values of the means of independent rows, shape (rows, ...), by Student's t.

    `bias` is how far the mean may truly lie from what is expected: only what exceeds it counts.
    """
    samples = np.asarray(samples, dtype=float)
    excess = np.maximum(np.abs(samples.mean(axis=0) - expected) - bias, 0.0)
    return 2.0 * t.sf(excess / standard_errors(samples), len(samples) - 1)


def of_normals(values: ArrayLike, expected: ArrayLike, deviation: ArrayLike) -> np.ndarray:
    """Return two-sided p-values of normal numbers whose standard deviation is known."""
    return 2.0 * norm.sf(np.abs(np.asarray(values) - expected) / deviation)


def of_binomials(successes: ArrayLike, law: object) -> np.ndarray:
    """Return two-sided exact p-values of counts, `law` their frozen binomial distribution."""
    return np.minimum(1.0, 2.0 * np.minimum(law.cdf(successes), law.sf(np.asarray(successes) - 1)))


def standard_errors(samples: np.ndarray) -> np.ndarray:
    """Return the standard errors of the means of independent rows."""
    return samples.std(axis=0, ddof=1) / np.sqrt(len(samples))


@dataclass
class Level:
    """The false alarms that a test may spend, and the power that it states.

    Every comparison takes a share of the false alarms, and divides it over the numbers that it compares (Bonferroni);
    the shares of a test sum to one. One whose power is computed from measured standard errors keeps half of its share
    for these to be drawn too large: designs have so much room that the power is enough even then.
    """

    false_alarm: float
    power: float
    spent: float = 0.0
    shows_power: bool = False

    def accept(self, pvalues: ArrayLike, share: float = 1.0) -> None:
        """Fail if a p-value is below the share of the false alarms, over how many p-values there are."""
        self.spent += share
        pvalues = np.atleast_1d(pvalues)
        # not a number is no evidence of anything, and fails too
        assert (pvalues > share * self.false_alarm / pvalues.size).all(), pvalues

    def detect(self, pvalue: float, false_alarm: float) -> None:
        """Fail unless a planted error is seen by a test of this false alarm; here a miss is the false alarm."""
        self.spent, self.shows_power = 1.0, True
        assert pvalue < false_alarm

    def means(
        self,
        samples: ArrayLike,
        expected: ArrayLike,
        bias: ArrayLike = 0.0,
        planted: ArrayLike = (),
        share: float = 1.0,
    ) -> None:
        """Compare the means of independent rows (rows, ...) with what is expected, by Student's t.

        `planted` is what an error would make of the expected values: that one of them or more gives it away with the
        stated power is tested too.
        """
        samples = np.asarray(samples, dtype=float)
        size, degrees = samples[0].size, len(samples) - 1
        alarm = 0.5 * share * self.false_alarm / size
        self.accept(of_means(samples, expected, bias), 0.5 * share)
        if np.size(planted):
            shift = np.maximum(np.abs(np.asarray(planted) - expected) - bias, 0.0) / standard_errors(samples)
            self.show(nct.sf(t.isf(0.5 * alarm, degrees), degrees, shift).max())
        self.spent += 0.5 * share

    def counts(self, seen: ArrayLike, law: ArrayLike, planted: ArrayLike = (), share: float = 1.0) -> None:
        """Compare counts of cells with their probabilities by a chi-square test; `planted` are those of an error."""
        seen, law = np.asarray(seen), np.asarray(law)
        assert (seen.sum() * law >= 10.0).all(), "too few are expected in a cell for the law of chi-square"
        self.accept(chisquare(seen, seen.sum() * law).pvalue, share)
        if np.size(planted):
            distance = seen.sum() * ((planted - law) ** 2 / law).sum()
            degrees = len(law) - 1
            self.show(ncx2.sf(chi2.isf(share * self.false_alarm, degrees), degrees, distance))

    def show(self, power: float) -> None:
        """Fail unless the power of a comparison, computed for a planted error, is as stated."""
        self.shows_power = True
        assert power >= self.power, f"a planted error would be missed with probability {1.0 - power:.2g}"
