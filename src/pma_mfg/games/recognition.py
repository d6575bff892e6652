"""Python functions of the mean field recognized as a `MeanFieldGame` (docs/theory.md, section 1.3).

Most users write rewards and transitions that are affine in the mean field, or curved in one share at a time. Those are
features, found by least squares on sampled mean fields and checked, to rounding, at others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.games.functions import Function, FunctionGame
from pma_mfg.games.model import LINKS, Features, MeanFieldGame

#: Largest difference, in units of max(1, largest value), between a function and its features at any mean field tried:
#: some thousand roundings, and what a row of transitions may be off by.
TOLERANCE = 1e-12
#: Values that are kept at most (240 MB): a function with more is not recognized.
VALUES = 3 * 10**7
#: A coefficient this close to a number with 8 decimals, zero among them, is taken for it; the check follows.
DECIMAL_WIDTH = 1e-11
#: A column of which less than this part is left when the span of the others is taken out depends on them.
INDEPENDENT = 1e-9
#: Nodes of the line through the simplex on which kinks are looked for, per state.
NODES = 129
#: Kinks of one state; a curved function seems to have one in every cell.
MAX_KINKS = 4
#: States up to which products of two shares are looked for: S (S - 1) / 2 features.
MAX_PAIRED_STATES = 12
EXPONENTS = (2.0, 3.0, 4.0, 5.0, 6.0, 0.5, 1.5, 2.5)


def recognized(game: FunctionGame) -> MeanFieldGame | None:
    """Return the game with features that a game of two functions is, or None.

    Looked for are functions that are, entry by entry, affine in the mean field plus a combination of one of: a power of
    the shares mu(z); log(mu(z) + c) or log(max(mu(z), c)) with c = 1, 2 or 5 times 10^-k; functions with kinks, linear
    between them, of single shares; polynomials of degree 4 of single shares; quadratic polynomials.

    Parameters
    ----------
    game : FunctionGame
        Free of problems (`functions.problems`).

    Returns
    -------
    MeanFieldGame or None
        Equal to the functions to `TOLERANCE` at every mean field tried, which is no proof that they are elsewhere.
    """
    S, A = game.n_states, game.n_actions
    transitions, rewards = _features(game.transition, S, S * A * S), _features(game.reward, S, S * A)
    if transitions is None or rewards is None:
        return None
    base_transition, transition, transition_terms = transitions
    base_reward, reward, reward_terms = rewards
    try:
        return MeanFieldGame(
            game.discount,
            base_transition.reshape(S, A, S),
            base_reward.reshape(S, A),
            transition_terms.reshape(-1, S, A, S),
            transition,
            reward_terms.reshape(-1, S, A),
            reward,
            family=game.family,
            state_labels=game.state_labels,
            action_labels=game.action_labels,
            layout=game.layout,
        )
    except InputError:  # rounding that leaves the simplex
        return None


def _features(function: Function, n_states: int, size: int) -> tuple[np.ndarray, Features, np.ndarray] | None:
    """Return base (E,), features and terms (K, E) of one function with E entries, or None."""
    points = _points(n_states)
    if n_states * size > VALUES:
        return None
    affine = np.array([np.asarray(function(vertex)).ravel() for vertex in np.eye(n_states)])
    curved, largest = np.zeros(size, dtype=bool), max(1.0, float(np.abs(affine).max()))
    for point in points:
        value = np.asarray(function(point)).ravel()
        largest = max(largest, float(np.abs(value).max()))
        curved |= np.abs(point @ affine - value) > TOLERANCE * largest
    tolerance = TOLERANCE * largest
    left = np.flatnonzero(curved)
    if len(points) * len(left) > VALUES:
        return None
    families = [Features.build(np.eye(n_states))]
    terms = [affine]
    if len(left):
        values = np.array([np.asarray(function(point)).ravel()[left] for point in points])
        for shape in _shapes(function, n_states, left):
            slopes, coefficients, good = _fit(points, shape.values(points), values, tolerance)
            if good.any():
                affine[:, left[good]] = slopes[:, good]
                term = np.zeros((len(shape.links), size))
                term[:, left[good]] = coefficients[:, good]
                families.append(shape)
                terms.append(term)
                left, values = left[~good], values[:, ~good]
            if len(left) == 0:
                break
        else:
            return None
    base = _least_absolute(affine)
    terms[0] = affine - base
    for made in ((_rounded(base), [_rounded(term) for term in terms]), (base, terms)):
        table, features = _collected(*_with_kinks(made[0], families, made[1]))
        near = (
            np.abs(table[0] + features.values(point) @ table[1:] - np.asarray(function(point)).ravel()).max()
            for point in points
        )
        if all(error <= tolerance for error in near):
            return table[0], features, table[1:]
    return None


def _points(n_states: int) -> np.ndarray:
    """Return mean fields to fit to and to check at, shape (M, S), the vertices first."""
    rng = np.random.default_rng(0)
    count = 64 + 3 * n_states
    drawn = [rng.dirichlet(np.full(n_states, shape), size=count) for shape in (0.3, 1.0)]
    # one share tiny, for shifts and floors of logarithms, and one arbitrary, for kinks
    for shares in (10.0 ** -rng.uniform(1.0, 17.0, 64), rng.uniform(0.0, 1.0, count)):
        others = rng.dirichlet(np.ones(n_states), size=len(shares))
        chosen = rng.integers(n_states, size=len(shares))
        rows = np.arange(len(shares))
        others[rows, chosen] = 0.0
        others *= ((1.0 - shares) / np.maximum(others.sum(axis=1), 1e-300))[:, None]
        others[rows, chosen] = shares if n_states > 1 else 1.0
        drawn.append(others)
    inside = np.concatenate(drawn)
    return np.concatenate([np.eye(n_states), inside[rng.permutation(len(inside))]])


def _shapes(function: Function, n_states: int, entries: np.ndarray) -> Iterator[Features]:
    """Yield families of features that explain an entry together, the simplest first."""
    own = np.eye(n_states)
    for exponent in EXPONENTS:
        yield Features.build(own, link="power", parameter=exponent)
    for digit, digits, link in product("125", range(17), ("floored_log", "log")):
        yield Features.build(own, link=link, parameter=float(f"{digit}e-{digits}"))
    if kinks := _kinks(function, n_states, entries):
        yield Features.build(own[[z for z, _ in kinks]], [-place for _, place in kinks], link="positive")
    powers = [Features.build(own, link="power", parameter=exponent) for exponent in EXPONENTS[:3]]
    yield _joined(powers)
    if n_states <= MAX_PAIRED_STATES:
        i, j = np.triu_indices(n_states, 1)
        yield _joined([powers[0], Features.build(own[i] + own[j], link="power", parameter=2.0)])


def _fit(
    points: np.ndarray, columns: np.ndarray, values: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return slopes (S, E) and coefficients (K, E) by least squares, and which entries they explain, (E,).

    The first half of the points, the vertices among them, are fitted to; all are checked. With two states each curved
    function of mu(0) is one of mu(1): the smaller coefficients are taken.
    """
    n_states, count = points.shape[1], columns.shape[1]
    n_fitted = n_states + (len(points) - n_states) // 2
    slopes, coefficients = np.zeros((n_states, values.shape[1])), np.zeros((count, values.shape[1]))
    best = np.full(values.shape[1], np.inf)
    single = n_states == 2 and count == 2
    for chosen in np.arange(count).reshape(2, 1) if single else np.arange(count)[None]:
        chosen, basis = _independent(points[:n_fitted], columns[:n_fitted], chosen)
        fitted = values[:n_fitted]
        if (np.abs(fitted - basis @ (basis.T @ fitted)) > 100.0 * tolerance).any(axis=0).all():
            continue  # cheaper than the solution
        design = np.concatenate([points, columns[:, chosen]], axis=1)
        widths = np.abs(design[:n_fitted]).max(axis=0)
        solution = np.linalg.lstsq(design[:n_fitted] / widths, fitted, rcond=None)[0] / widths[:, None]
        exact = (np.abs(design @ solution - values) <= tolerance).all(axis=0)
        linear, curved = solution[:n_states], solution[n_states:]
        size = np.abs(linear - _least_absolute(linear)).sum(axis=0) + np.abs(curved).sum(axis=0)
        better = exact & (size < best)
        best[better] = size[better]
        slopes[:, better], coefficients[:, better] = linear[:, better], 0.0
        coefficients[np.ix_(chosen, better)] = curved[:, better]
    return slopes, coefficients, np.isfinite(best)


def _independent(points: np.ndarray, columns: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the chosen columns that depend on no earlier ones and no affine function, and a basis of all."""
    basis = np.linalg.qr(points)[0]
    rest = columns[:, chosen]
    for _ in range(2):  # twice, against rounding
        rest = rest - basis @ (basis.T @ rest)
    own, triangle = np.linalg.qr(rest)
    if (np.abs(np.diagonal(triangle)) > INDEPENDENT * np.linalg.norm(columns[:, chosen], axis=0)).all():
        return chosen, np.column_stack([basis, own])
    kept = []
    for k in chosen:  # one by one, past those that depend
        rest = columns[:, k]
        for _ in range(2):  # twice, against rounding
            rest = rest - basis @ (basis.T @ rest)
        if (size := float(np.linalg.norm(rest))) > INDEPENDENT * np.linalg.norm(columns[:, k]):
            kept.append(k)
            basis = np.column_stack([basis, rest / size])
    return np.array(kept, dtype=int), basis


def _kinks(function: Function, n_states: int, entries: np.ndarray) -> list[tuple[int, float]]:
    """Return states z and places c at which some entry, linear nearby, has a kink as mu(z) passes c."""
    found = []
    times = np.linspace(0.0, 1.0, NODES)
    for z in range(n_states if n_states > 1 else 0):
        vertex = np.eye(n_states)[z]
        rest = (1.0 - vertex) / (n_states - 1)
        line = np.array([np.asarray(function((1 - t) * rest + t * vertex)).ravel()[entries] for t in times])
        bends = np.abs(np.diff(line, n=2, axis=0)) > 10.0 * TOLERANCE * max(1.0, float(np.abs(line).max()))
        places: list[float] = []
        for e in np.flatnonzero(bends.any(axis=0)):
            nodes = 1 + np.flatnonzero(bends[:, e])
            for run in np.split(nodes, 1 + np.flatnonzero(np.diff(nodes) > 1)):
                i, j = int(run[0]), int(run[-1])
                left, right = line[i, e] - line[i - 1, e], line[j + 1, e] - line[j, e]
                if j > i + 1 or left == right:
                    continue
                # where the lines through the two nodes on either side meet, in units of nodes
                meet = (line[j, e] - j * right - line[i, e] + i * left) / (left - right)
                place = float(_rounded(np.array(meet / (NODES - 1))))
                if 0.0 < place < 1.0 and all(abs(place - known) > 1e-9 for known in places):
                    places.append(place)
        if len(places) <= MAX_KINKS:
            found += [(z, place) for place in places]
    return found


def _with_kinks(
    base: np.ndarray, families: list[Features], terms: list[np.ndarray]
) -> tuple[np.ndarray, list[Features], list[np.ndarray]]:
    """Write b x + a max(0, x - c) with a = -b as min(1, x / c) and with a = -2 b as |x - c|: the bounds are sharper."""
    base, affine = base.copy(), terms[0].copy()
    families, terms = list(families), [affine, *(term.copy() for term in terms[1:])]
    for shape, bends in zip(families[1:], terms[1:], strict=True):
        if (shape.links != LINKS.index("positive")).any():
            continue
        places, states = -shape.offsets, shape.weights.argmax(axis=1)
        for e in np.flatnonzero(bends.any(axis=0)):
            # a constant that is added to all slopes is one more number: such that few slopes remain
            bent = np.flatnonzero(np.abs(bends[:, e]) > DECIMAL_WIDTH)
            slopes = affine[states[bent], e]
            targets = np.concatenate([affine[:, e], *(slopes + share * bends[bent, e] for share in (0.5, 1.0))])
            near = np.abs(targets[:, None] - targets) <= DECIMAL_WIDTH
            shift = targets[near.sum(axis=1).argmax()]
            if shift != 0.0:
                base[e] += shift
                affine[:, e] -= shift
                affine[np.abs(affine[:, e]) <= DECIMAL_WIDTH, e] = 0.0
        minima, moduli = np.zeros_like(bends), np.zeros_like(bends)
        for i, (z, c) in enumerate(zip(states, places, strict=True)):
            for table, share in ((minima, 1.0), (moduli, 0.5)):
                here = (bends[i] != 0.0) & (np.abs(affine[z] + share * bends[i]) <= DECIMAL_WIDTH)
                slope = -share * bends[i, here]
                if share == 1.0:
                    table[i, here] = slope * c
                else:
                    table[i, here] = -slope
                    base[here] += slope * c
                affine[z, here] = bends[i, here] = 0.0
        families += [
            Features.build(shape.weights / places[:, None], link="minimum"),
            Features.build(shape.weights, -places, link="absolute"),
        ]
        terms += [minima, moduli]
    return base, families, terms


def _collected(base: np.ndarray, families: list[Features], terms: list[np.ndarray]) -> tuple[np.ndarray, Features]:
    """Return base and the terms that are not zero as rows of one table, shape (1 + K, E), and their features."""
    features, table = _joined(families), np.concatenate(terms)
    used = table.any(axis=1)
    chosen = Features(*(getattr(features, name)[used] for name in Features.__dataclass_fields__))
    return np.concatenate([base[None], table[used]]), chosen


def _joined(families: list[Features]) -> Features:
    """Return several families as one."""
    names = Features.__dataclass_fields__
    return Features(*(np.concatenate([getattr(family, name) for family in families]) for name in names))


def _least_absolute(slopes: np.ndarray) -> np.ndarray:
    """Return the c, shape (E,), for which sum_z |slopes(z) - c| is least; of several the one closest to zero."""
    ordered = np.sort(slopes, axis=0)
    low, high = ordered[(len(slopes) - 1) // 2], ordered[len(slopes) // 2]
    return np.asarray(np.clip(0.0, low, high))


def _rounded(x: np.ndarray) -> np.ndarray:
    """Return numbers with 8 decimals where they are meant."""
    decimal = np.round(x, 8) + 0.0
    return np.where(np.abs(x - decimal) <= DECIMAL_WIDTH * np.maximum(1.0, np.abs(x)), decimal, x)
