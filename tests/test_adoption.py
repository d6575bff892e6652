"""What adoption does to disagreement and to the policies: the propositions of docs/theory, sections 20.3 and 20.4."""

import numpy as np
import pytest

from pma_mfg import games, learning
from pma_mfg.learning import graphs
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Entropy

ALARM = 5e-7
COMPLETE, RING = graphs.Graph.parse("complete"), graphs.Graph.parse("ring")
EVERYWHERE = np.ones((1, 1), dtype=bool)


def rounds(graph, scores, temperature, n_rounds, rng):
    """Return whose policy each agent holds after some rounds, scores going with policies."""
    n_agents = len(scores)
    held = np.arange(n_agents)
    for _ in range(n_rounds):
        audience = graph.audience(np.zeros(n_agents, dtype=int), EVERYWHERE, rng)
        held = held[graphs.adopted(scores[held], audience, temperature=temperature, rng=rng)]
    return held


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="a round less")
def test_neutral_adoption_moves_disagreement_as_two_walks_on_the_graph(level):
    rng, n_agents, n_rounds = np.random.default_rng(0), 6, 3
    d = rng.random((n_agents, n_agents))
    np.fill_diagonal(d, 0.0)
    walk = np.abs((np.subtract.outer(np.arange(6), np.arange(6)) + 3) % 6 - 3) <= 1
    walk = walk / walk.sum(axis=1)
    expected = [d]
    for _ in range(n_rounds):
        after = walk @ expected[-1] @ walk.T
        expected.append(after - np.diag(np.diag(after)))
    found = []
    for _ in range(3000):
        held = rounds(RING, np.zeros(n_agents), np.inf, n_rounds, rng)
        found.append([d[np.ix_(held, held)].mean()])
    level.means(found, expected[-1].mean(), planted=expected[-2].mean())


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="a factor 1 - 2/N per round")
def test_on_the_complete_graph_neutral_adoption_takes_one_nth_of_the_disagreement_per_round(level):
    rng, n_agents, n_rounds = np.random.default_rng(1), 12, 8
    d = np.abs(np.subtract.outer(np.arange(12.0) ** 2, np.arange(12.0) ** 2))
    shares = []
    for _ in range(1500):
        held = rounds(COMPLETE, rng.random(12), 1e9, n_rounds, rng)
        shares.append([d[np.ix_(held, held)].sum() / d.sum()])
    level.means(shares, (1 - 1 / n_agents) ** n_rounds, planted=(1 - 2 / n_agents) ** n_rounds)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="neutral adoption")
def test_two_agents_of_different_policies_agree_more_often_under_any_scores(level):
    rng, n_agents, temperature = np.random.default_rng(2), 8, 0.5
    scores = rng.normal(size=n_agents)
    p = np.exp(scores / temperature) / np.exp(scores / temperature).sum()
    agreeing = []
    for _ in range(3000):
        held = rounds(COMPLETE, scores, temperature, 1, rng)
        agreeing.append([((held[:, None] == held).sum() - n_agents) / (n_agents * (n_agents - 1))])
    assert (p**2).sum() > 1 / n_agents
    level.means(agreeing, (p**2).sum(), planted=1 / n_agents)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="odds that stay as they are")
def test_the_odds_of_the_best_policy_grow_by_its_lead_over_the_temperature_and_disagreement_with_them(level):
    rng = np.random.default_rng(3)
    scores = np.array([np.log(9.0), *np.zeros(9)])  # one better policy, nine agents with another
    shares, apart = [], []
    for _ in range(2000):
        better = rounds(COMPLETE, scores, 1.0, 1, rng) == 0
        shares.append([better.mean()])
        apart.append([(better[:, None] != better).sum() / 90.0])
    level.means(shares, 0.5, planted=0.1, share=0.5)
    level.means(apart, 0.5, planted=0.2, share=0.5)


def test_at_temperature_zero_the_best_policy_takes_a_ring_in_as_many_rounds_as_its_diameter():
    rng, scores = np.random.default_rng(0), np.random.default_rng(0).permutation(11).astype(float)
    best = int(scores.argmax())
    for n_rounds in range(6):
        held = rounds(RING, scores, 0.0, n_rounds, rng)
        near = np.abs((np.arange(11) - best + 5) % 11 - 5) <= n_rounds
        np.testing.assert_array_equal(held == best, near)


def test_selection_is_a_covariance_over_the_temperature():
    rng = np.random.default_rng(0)
    scores, f = rng.normal(size=(2, 40))
    covariance = np.mean((scores - scores.mean()) * f)
    for temperature in (1e2, 1e3):
        p = np.exp(scores / temperature) / np.exp(scores / temperature).sum()
        # the next term is of relative order 1 / temperature
        assert temperature * (p @ f - f.mean()) == pytest.approx(covariance, abs=5.0 / temperature)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="the whole gain of the scores is real")
def test_selection_gains_the_variance_of_quality_over_the_temperature_and_scores_gain_more(level):
    rng, n_agents, quality, noise, temperature = np.random.default_rng(4), 40_000, 0.5, 1.0, 2.0
    gains, seen = [], []
    for _ in range(30):
        v = quality * rng.normal(size=n_agents)
        scores = v + noise * rng.normal(size=n_agents)
        held = rounds(COMPLETE, scores, temperature, 1, rng)
        gains.append([v[held].mean()])
        seen.append([scores[held].mean()])
    real, apparent = quality**2 / temperature, (quality**2 + noise**2) / temperature
    # N is finite: the weights' own noise gives a bias of order 1 / N
    level.means(gains, real, bias=1e-3, planted=apparent, share=0.5)
    level.means(seen, apparent, bias=1e-3, planted=real, share=0.5)


@pytest.mark.statistical(false_alarm=ALARM, power=0.999, against="the whole score of the winner is real")
def test_the_winner_of_noisy_scores_is_worse_than_it_seems(level):
    rng, n_agents, quality, noise, count = np.random.default_rng(5), 20, 0.5, 1.0, 4000
    v = quality * rng.normal(size=(count, n_agents))
    scores = v + noise * rng.normal(size=v.shape)
    audience = COMPLETE.audience(np.zeros(n_agents, dtype=int), EVERYWHERE, rng)
    winners = np.array([graphs.adopted(row, audience, temperature=0.0, rng=rng)[0] for row in scores])
    x = np.linspace(-8.0, 8.0, 20_001)
    density = np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi)
    below = np.cumsum(density) * (x[1] - x[0])
    largest = float((x * n_agents * density * below ** (n_agents - 1)).sum() * (x[1] - x[0]))
    spread = np.hypot(quality, noise)
    # the sum for the largest of normal numbers is good to some 1e-3
    won = v[np.arange(count), winners][:, None]
    level.means(won, largest * quality**2 / spread, bias=2e-3, planted=largest * spread)


@pytest.mark.statistical(
    false_alarm=2 * ALARM, power=0.999, against="a population that averages the errors of agents who agree"
)
def test_agreement_gives_the_population_the_whole_error_of_one_agent(level):
    game, n_agents, schedule = games.make("no_interaction"), 16, Schedule(1, 50, 0, 2.0, 5.0, 10.0)

    def means(seed, **more):
        settings = {"graph": "complete", "temperature": 0, "score": "random"} | more
        agents = learning.networked(
            game, n_agents, Entropy(0.5), schedule=schedule, rng=np.random.default_rng(seed), **settings
        )
        return agents.policies()[:, 0, 0]

    own = np.array([means(seed, rounds=0) for seed in range(400)])
    one = np.array([means(seed, rounds=1) for seed in range(400, 800)])[:, 0]
    centre = own.mean()  # known 16 times better than any single mean
    averaged, whole = (own.mean(axis=1) - centre) ** 2, (one - centre) ** 2
    level.means((whole - n_agents * averaged)[:, None], 0.0, planted=whole.mean() - averaged.mean())
