"""Replicates that move side by side in vector registers are bitwise those that move one after the other."""

import numpy as np
import pytest
from numba import njit
from tests.references import family_game, random_policy
from tests.test_learning import until_finished

from pma_mfg import games
from pma_mfg.learning import algorithms, replicates
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import binomials, exchangeable, exchangeable_kernels, lockstep, lockstep_draws, lockstep_kernels
from pma_mfg.simulation.registers import load, store

WIDTH = lockstep.TOGETHER
SCHEDULE = Schedule(3, 400, 1, 1.0, 5.0, 5.0, 0.3)


def streams(seed):
    return [exchangeable.random_stream(np.random.default_rng([seed, r])) for r in range(WIDTH)]


def slots_of(n_states, rng):
    """Return slots of rows of falling length, whose P_pi is Dirichlet, and flat tables for one replicate and eight."""
    widths = np.sort(rng.integers(1, n_states + 1, n_states))[::-1]
    widths[0] = n_states
    starts = np.cumsum([0, *((widths > j).sum() for j in range(n_states))])
    rows = [np.sort(rng.permutation(n_states)[:width]) for width in widths]
    laws = [rng.dirichlet(np.full(width, rng.choice([0.1, 1.0, 10.0]))) for width in widths]
    successors = np.concatenate([[row[j] for row in rows if len(row) > j] for j in range(n_states)])
    base = np.concatenate([[law[j] for law in laws if len(law) > j] for j in range(n_states)])
    terms = (np.zeros((0, len(base))), *(np.zeros(0, dtype=kind) for kind in (int, int, float)))
    return (rng.permutation(n_states), starts, successors, base, terms)


@pytest.mark.parametrize("largest", [3, 30, 1000, 10**6, 10**12, 10**15])
def test_counts_move_bitwise_like_those_of_a_replicate_alone(largest):
    """Rows without agents, with few, with means on both sides of inversion, up to the largest populations."""
    rng = np.random.default_rng(largest)
    for case in range(12):
        size = int(rng.integers(2, 12))
        slots = slots_of(size, rng)
        order, starts, successors, base, terms = slots
        together = (order, starts, successors, base, (np.zeros(0), *terms[1:]))
        alone = streams(case)
        counts = [np.floor(largest ** rng.random(size) * rng.integers(0, 2, size)) for _ in range(WIDTH)]
        for of in counts:  # no population is empty
            of[0] += 1
        flat, moved = lockstep.interleave(alone), np.full(WIDTH * size, np.nan)
        work = lockstep_kernels.work_together(together)
        for _ in range(5):
            now = lockstep.interleave(counts)
            lockstep_kernels.move_counts_together(flat, now, np.zeros(0), together, work, moved)
            for r, stream in enumerate(alone):
                expected, own = np.empty(size), exchangeable_kernels.work_space(slots)
                exchangeable_kernels.move_counts(stream, counts[r], np.zeros(0), slots, own, expected)
                np.testing.assert_array_equal(moved[r::WIDTH], expected)
                np.testing.assert_array_equal(flat[r::WIDTH], stream)
                counts[r] = expected


def test_binomials_are_bitwise_those_drawn_alone_whatever_n_and_p_are():
    rows, alone, rng = 40, streams(0), np.random.default_rng(0)
    order = np.arange(rows)
    flat = lockstep.interleave(alone)
    work = lockstep_kernels.work_together(
        (order, order[:2], order, np.zeros(0), (np.zeros(0), order, order, np.zeros(0)))
    )
    kept, rest, numbers, left, drawn = work[:5]
    for _ in range(60):
        means = 10.0 ** rng.uniform(0.5, 9.0, (rows, WIDTH))
        rare = 10.0 ** rng.uniform(-6.0, -0.3, means.shape)
        share = np.where(rng.random(means.shape) < 0.5, rng.random(means.shape), rare)
        n, weight = np.floor(means / np.minimum(share, 1.0 - share)), rng.random(means.shape)
        kept[:], rest[:], left[:] = (x.ravel() for x in (share * weight, (1.0 - share) * weight, n))
        lockstep_draws.fill_together(flat, numbers, 2 * rows)
        lockstep_draws.binomials_together(flat, rows, 0, 0, work)
        for r, stream in enumerate(alone):
            bits, expected = np.empty(2 * rows + 8, dtype=np.uint64), np.empty(rows)
            exchangeable_kernels.fill(stream, bits, 2 * rows)
            of = (np.ascontiguousarray(x[r::WIDTH]) for x in (left, kept, rest))
            binomials.binomials(stream, rows, 0, *of, bits.view(np.float64), 0, expected)
            np.testing.assert_array_equal(drawn[r::WIDTH], expected)
            np.testing.assert_array_equal(flat[r::WIDTH], stream)


def test_the_polynomial_in_place_of_the_exponential_is_within_its_bound():
    @njit
    def exponential(x, out):
        for i in range(0, len(x), WIDTH):
            store(out, i, lockstep_draws.exponential(load(x, i)))

    x, out = np.linspace(-16.0, 1.0, 80_000), np.empty(80_000)
    exponential(x, out)
    assert np.abs(out / np.exp(x) - 1.0).max() < 1e-9
    exponential(np.full(WIDTH, -1e300), out[:WIDTH])
    assert out[0] == pytest.approx(np.exp(-16.0), rel=1e-9)


def cases():
    planted = games.make("planted_smooth", n_states=5, n_actions=3, discount=0.8, seed=1, strength=0.1)
    crowd = games.make("crowd_averse", n_states=6, n_actions=3, discount=0.8, seed=0, n_successors=2, coupling=3.0)
    yield "many agents", planted, 10**6
    yield "alias tables", planted, 12
    yield "alias tables of more agents", planted, 70
    yield "two agents", planted, 2
    yield "alias tables of two states", family_game("planted_smooth", n_states=2, n_actions=2), 10
    yield "alias tables for all mean fields", games.make("no_interaction"), 5
    yield "few per row", planted, 100
    yield "sparse", crowd, 10**4
    yield "links", family_game("planted_kinked"), 3000


@pytest.mark.parametrize(("game", "n_agents"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_learning_is_bitwise_that_of_a_replicate_alone_whatever_their_number(game, n_agents, count):
    def rngs():
        return [np.random.default_rng([7, r]) for r in range(count)]

    regularizer = Quadratic(0.3)  # whose policies have zeros
    for annealed in ({}, {"strengths": [0.8, 0.4, 0.2], "starts": [0.0, 0.5, 1.0]}):
        of = {"schedule": SCHEDULE, **annealed}
        together = replicates.centralized(game, n_agents, regularizer, rngs=rngs(), **of)
        for found, rng in zip(together, rngs(), strict=True):
            alone = algorithms.centralized(game, n_agents, regularizer, rng=rng, **of)
            np.testing.assert_array_equal(found, alone)
    steps = {"n_updates": [7, 300], "n_waiting": 1, "td_scale": 2.0, "td_offset": 4.0, "start": 0.5}
    policy = random_policy(game, 0)
    estimates = replicates.ctd(game, policy, n_agents, regularizer=regularizer, rngs=rngs(), **steps)
    for found, rng in zip(estimates, rngs(), strict=True):
        alone = algorithms.ctd(game, policy, n_agents, regularizer=regularizer, rng=rng, **steps)
        np.testing.assert_array_equal(found, alone)
    for epochs, rng in zip(replicates.blind(game, n_agents, regularizer, rngs=rngs(), budget=900), rngs(), strict=True):
        alone = list(algorithms.blind(game, n_agents, regularizer, rng=rng, budget=900))
        assert [epoch.samples for epoch in epochs] == [epoch.samples for epoch in alone]
        for name in ("policy", "visits", "step_size"):
            np.testing.assert_array_equal(*([getattr(epoch, name) for epoch in of] for of in (epochs, alone)))


def test_sweeps_of_many_agents_move_together(monkeypatch):
    """The test above would pass if they never did."""
    calls, learn = [], lockstep_kernels.learn_together
    monkeypatch.setattr(lockstep_kernels, "learn_together", lambda *given: (calls.append(1), learn(*given)))
    game = games.make("planted_smooth", n_states=5, n_actions=3, discount=0.8, seed=1, strength=0.1)
    rngs = [np.random.default_rng([7, r]) for r in range(8)]
    replicates.centralized(game, 10**6, Entropy(0.3), schedule=SCHEDULE, rngs=rngs)
    assert len(calls) >= SCHEDULE.n_epochs
    for n_agents in (10**6, 10):
        calls.clear()
        epochs = replicates.blind(game, n_agents, Entropy(0.3), rngs=rngs, budget=900)
        assert len(calls) >= len(epochs[0])


@pytest.mark.parametrize("n_agents", [12, 10**6])
def test_replicates_that_are_killed_go_on_bitwise(monkeypatch, n_agents):
    def chunks(first, last, entries):
        return ((m, min(m + 150, last)) for m in range(first, last, 150))

    monkeypatch.setattr(exchangeable, "chunks", chunks)
    game = games.make("planted_smooth", n_states=5, n_actions=3, discount=0.8, seed=1, strength=0.1)

    def run(storage):
        kept = {} if storage is None else {"resume": storage.state, "save": storage.save}
        rngs = [np.random.default_rng([3, r]) for r in range(9)]
        return replicates.centralized(game, n_agents, Entropy(0.3), schedule=SCHEDULE, rngs=rngs, **kept)

    whole = run(None)
    for survives in (0, 3):
        pieces, kills = until_finished(run, survives)
        assert kills >= 3
        np.testing.assert_array_equal(pieces, whole)
