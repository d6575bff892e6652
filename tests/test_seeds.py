"""Streams are named by the coordinates of the work, not by the order of execution."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from pma_mfg.seeds import generator

COORDINATES = [
    (),
    (0,),
    (1,),
    ("0",),
    ("ctd",),
    ("ctd", 0),
    ("ctd", 1),
    ("ctd", 0, 0),
    (0, "ctd"),
    ("ctd", 0.1),
    ("ctd", 0.1 + 1e-15),
    ("ctd", -1),
    ("ct", "d", 0),
    ("ctd", "planted", 1000, 0),
    ("ctd", "planted", 1000, 1),
    ("ctd", "planted", 0, 1000),
]


def draws(root, *coordinates):
    return generator(root, *coordinates).integers(2**63, size=4).tolist()


def test_same_coordinates_give_the_same_stream_in_any_order_of_calls():
    forward = {c: draws(7, *c) for c in COORDINATES}
    backward = {c: draws(7, *c) for c in reversed(COORDINATES)}
    assert forward == backward


def test_different_coordinates_give_different_streams():
    streams = [tuple(draws(7, *c)) for c in COORDINATES]
    assert len(set(streams)) == len(COORDINATES)
    # no draw in common either: 4 numbers below 2^63 from each stream collide with probability below 1e-15
    numbers = list(itertools.chain.from_iterable(streams))
    assert len(set(numbers)) == len(numbers)


def test_different_roots_give_different_streams():
    assert len({tuple(draws(root, "ctd", 1000)) for root in (0, 1, 2, 2**40)}) == 4


@given(st.integers(-(2**53), 2**53))
def test_an_integer_and_the_equal_float_are_the_same_coordinate(number):
    assert draws(0, "ctd", number) == draws(0, "ctd", float(number)) == draws(0, "ctd", np.int64(number))


@pytest.mark.parametrize("text", ["1000", "1e3", " 1000.0"])
def test_a_string_is_not_the_number_it_spells(text):
    assert draws(0, "ctd", text) != draws(0, "ctd", 1000)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="a correlation of 0.35 between two streams")
def test_streams_of_neighbouring_replicates_are_uncorrelated(level):
    samples = np.array([generator(0, "ctd", replicate).standard_normal(1000) for replicate in range(100)])
    correlations = np.corrcoef(samples)[np.triu_indices(100, 1)]
    level.accept(2.0 * t.sf(np.abs(correlations) * np.sqrt(998 / (1.0 - correlations**2)), 998))
    # by Fisher's transformation, normal with variance 1 / 997, against the critical value of one of 4950
    critical = norm.isf(0.5 * level.false_alarm / len(correlations))
    level.show(norm.sf(critical - np.arctanh(0.35) * np.sqrt(997)))
