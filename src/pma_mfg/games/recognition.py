"""Python functions of the mean field recognized as a `MeanFieldGame` (docs/theory, section 1.3).

Most users write rewards and transitions that are affine in the mean field, or curved in one share at a time, or in one
sum of shares. Those are features, found from O(S) evaluations and checked, to rounding, at other mean fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import scipy

from pma_mfg.errors import InputError
from pma_mfg.games.features import LINKS, Features
from pma_mfg.games.functions import EXAMINED, Function, FunctionGame, Game, returned
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.games.ridges import (
    DECIMAL_WIDTH,
    MAX_KINKS,
    NODES,
    TOLERANCE,
    Proposal,
    bent_ridges,
    least_absolute,
    rounded,
    smooth_ridges,
)

#: Largest number of values of a function that are kept (240 MB); a function with more is not recognized.
VALUES = 3 * 10**7

#: A column counts as a combination of the others if less than this share of its norm is orthogonal to them.
INDEPENDENT = 1e-9

#: Largest number of states for which kinks are looked for, with `NODES` evaluations per state.
MAX_KINKED_STATES = 150

#: Largest number of states for which products of two shares are looked for: S (S - 1) / 2 features.
MAX_PAIRED_STATES = 12

#: Largest number of states for which the coefficients of all shares are fitted together: O(S^3) operations.
MAX_FITTED_STATES = 600

#: Largest number of states for which enough mean fields are tried to fit several coefficients per state.
MANY_POINTS_STATES = 100

#: Shifts and floors of logarithms are looked for among 1, 2 and 5 times 10^-k with k less than this.
DIGITS = 31

#: A kind of link is first tried on the segment between two neighbouring vertices, where one state has these shares and
#: the next state the rest.
SHARES = np.array([0.0, *10.0 ** -np.arange(30.5, 1.0, -2.0), 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0])

#: Exponents of the powers of single shares that are tried, in this order.
EXPONENTS = (2.0, 3.0, 4.0, 5.0, 6.0, 0.5, 1.5, 2.5)

#: A function with E entries as features: base (E,), features, and terms (K, E).
Found = tuple[np.ndarray, Features, np.ndarray]


def recognized(game: FunctionGame) -> MeanFieldGame | None:
    """Return the same game with features, or None if the form of its functions is not recognized.

    Looked for are functions that are, entry by entry, affine in the mean field plus a combination of one of: a power of
    the shares mu(z); log(mu(z) + c) or log(max(mu(z), c)) with c = 1, 2 or 5 times 10^-k; functions with kinks, linear
    between them, of single shares; polynomials of degree 4 of single shares; quadratic polynomials; and, of one
    argument x = <w, mu> + b per entry, 1 / x, exp(x), and functions with kinks, linear between them, such as
    min(max(x, c), d).

    Parameters
    ----------
    game : FunctionGame
        Free of problems (`function_checks.problems`).

    Returns
    -------
    MeanFieldGame or None
        Equal to the functions to `TOLERANCE` at every mean field tried, which is no proof that they are elsewhere.
    """
    found = examined(game)
    return found if isinstance(found, MeanFieldGame) else None


def examined(game: Game) -> Game:
    """Return the game with features, or else the same game with a `reason` that names an entry of no known form.

    Parameters
    ----------
    game : Game
        One with features is returned as it is.

    Returns
    -------
    MeanFieldGame or FunctionGame
    """
    if game.has_features:
        return game
    S, A = game.n_states, game.n_actions
    tables = []
    for name, shape in (("transition", (S, A, S)), ("reward", (S, A))):
        found = _features(_table(game, name), S, int(np.prod(shape)))
        if isinstance(found, str):
            return replace(game, reason=f"{name}: {found}")
        if isinstance(found, int):
            place = ",".join(str(int(i)) for i in np.unravel_index(found, shape))
            shares = _shares(_table(game, name), S, found)
            words = f"{name}[{place}] depends on {shares} in a way that no one kind of link explains"
            return replace(game, reason=words)
        base, features, terms = found
        tables.append((base.reshape(shape), features, terms.reshape(-1, *shape)))
    (base_transition, transition, transition_terms), (base_reward, reward, reward_terms) = tables
    try:
        return MeanFieldGame(
            game.discount,
            base_transition,
            base_reward,
            transition_terms=transition_terms,
            transition_features=transition,
            reward_terms=reward_terms,
            reward_features=reward,
            family=game.family,
            state_labels=game.state_labels,
            action_labels=game.action_labels,
            layout=game.layout,
        )
    except InputError as error:  # rounding that leaves the simplex
        return replace(game, reason=f"the features that were found are refused ({error.field})")


def _table(game: FunctionGame, name: str) -> Function:
    """Return the function from a mean field to its flattened table, which may be the user's own array."""
    function = game.transition_function if name == "transition" else game.reward_function
    return lambda mean_field: returned(function, name, mean_field, source=game.source, copy=False).ravel()


def _features(function: Function, n_states: int, size: int) -> Found | int | str:
    """Return base, features and terms of one function with E = `size` entries, if its entries are of a known form.

    Otherwise return the number of an entry that is not, or, in words, why the function is too large.
    """
    vertices = np.eye(n_states)
    points = _points(n_states)[: max(n_states + 32, EXAMINED // size)]
    first = np.array(function(vertices[0]))
    varies, largest = np.zeros(size, dtype=bool), max(1.0, float(np.abs(first).max()))
    for point in points:
        value = function(point)
        if not np.array_equal(value, first):
            varies |= value != first
            largest = max(largest, float(np.abs(value).max()))
    tolerance, moving = TOLERANCE * largest, np.flatnonzero(varies)
    if n_states * len(moving) > VALUES:
        return f"{len(moving)} entries depend on the mean field, too many with {n_states} states to be looked into"
    fixed = np.where(varies, 0.0, first)
    near = rounded(fixed)
    fixed = near if np.abs(near - fixed).max() <= tolerance else fixed
    if len(moving) == 0:
        return fixed, Features.none(n_states), np.zeros((0, size))

    affine = np.array([function(vertex)[moving] for vertex in vertices])
    curved = np.zeros(len(moving), dtype=bool)
    rows = max(1, VALUES // (4 * len(moving)))
    for part in (points[i : i + rows] for i in range(0, len(points), rows)):
        values = np.array([function(point)[moving] for point in part])
        curved |= (np.abs(part @ affine - values) > tolerance).any(axis=0)
    families, terms = [Features.build(vertices)], [affine]
    if curved.any():
        proposals = _curved(function, points, moving[curved], tolerance)
        if not isinstance(proposals, list):
            return proposals
        affine[:, curved] = 0.0
        for shape, slopes, coefficients in proposals:
            affine[:, curved] += slopes
            families.append(shape)
            terms.append(np.zeros((len(coefficients), len(moving))))
            terms[-1][:, curved] = coefficients
    base = least_absolute(affine)
    terms[0] = affine - base
    for made in ((rounded(base), [rounded(term) for term in terms]), (base, terms)):
        table, features = _collected(*_with_kinks(made[0], families, made[1]))
        checks = (
            np.abs(table[0] + features.values(part) @ table[1:] - np.array([function(mu)[moving] for mu in part]))
            for part in (points[i : i + rows] for i in range(0, len(points), rows))
        )
        if all((error <= tolerance).all() for error in checks):
            whole = np.zeros((len(table), size))
            whole[0] = fixed
            whole[:, moving] = table
            return whole[0], features, whole[1:]
    return int(moving[curved][0]) if curved.any() else int(moving[0])


def _curved(
    function: Function, points: np.ndarray, entries: np.ndarray, tolerance: float
) -> list[Proposal] | int | str:
    """Return proposals that explain all entries that are not affine; otherwise as `_features`."""
    n_states = points.shape[1]
    if len(points) * len(entries) > VALUES:
        return f"{len(entries)} entries are curved, too many with {n_states} states to be looked into"
    every = np.array([function(point)[entries] for point in points])
    # entries that are equal everywhere, as of actions that do not matter, are looked at once
    known: dict[bytes, int] = {}
    place = np.array([known.setdefault(column.tobytes(), len(known)) for column in np.ascontiguousarray(every.T)])
    own = np.unique(place, return_index=True)[1]
    entries, values = entries[own], every[:, own]
    left = np.arange(len(own))
    found: list[Proposal] = []

    def accept(proposal: Proposal, chosen: np.ndarray) -> None:
        """Keep a proposal for those of the chosen entries that it explains and no earlier one did."""
        nonlocal left
        shape, slopes, coefficients = proposal
        used = np.flatnonzero(coefficients.any(axis=0) & np.isin(chosen, left))
        chosen, slopes, coefficients = chosen[used], slopes[:, used], coefficients[:, used]
        if len(used) == 0:
            return
        with np.errstate(all="ignore"):  # a pole among the points explains nothing
            error = np.abs(points @ slopes + shape.values(points) @ coefficients - values[:, chosen]).max(axis=0)
        good = error <= tolerance
        if good.any() and LINKS[shape.links[0]] in ("log", "floored_log"):  # which differ for shares near c only
            near = _one_share(n_states, float(shape.parameters[0]))
            here = np.array([function(point)[entries[chosen]] for point in near])
            good &= np.abs(near @ slopes + shape.values(near) @ coefficients - here).max(axis=0) <= tolerance
        if good.any():
            whole = np.zeros((n_states + len(coefficients), len(own)))
            whole[:, chosen[good]] = np.concatenate([slopes, coefficients])[:, good]
            found.append((shape, whole[:n_states], whole[n_states:]))
            left = np.setdiff1d(left, chosen[good])

    segments = _segments(function, n_states, entries)
    for shape in _shapes(function, n_states, entries) if n_states <= MAX_FITTED_STATES else ():
        tried = left[_fits_segments(shape, segments[:, left], tolerance)]
        if len(tried):
            accept((shape, *_fit(points, shape.values(points), values[:, tried], tolerance)), tried)
        if len(left) == 0:
            break
    for search in (smooth_ridges, bent_ridges) if n_states <= MAX_KINKED_STATES else (smooth_ridges,):
        if len(tried := left):
            for proposal in search(function, points, values[:, tried], entries=entries[tried]):
                accept(proposal, tried)
                if len(left) == 0:
                    break
    if len(left):
        return int(entries[left[0]])
    return [(shape, slopes[:, place], coefficients[:, place]) for shape, slopes, coefficients in found]


def _shapes(function: Function, n_states: int, entries: np.ndarray) -> Iterator[Features]:
    """Yield families of features that explain an entry together, the simplest first."""
    own = np.eye(n_states)
    for exponent in EXPONENTS:
        yield Features.build(own, link="power", parameter=exponent)
    for digit, digits, link in product("125", range(DIGITS), ("floored_log", "log")):
        yield Features.build(own, link=link, parameter=float(f"{digit}e-{digits}"))
    if n_states <= MAX_KINKED_STATES and (kinks := _kinks(function, n_states, entries)):
        yield Features.build(own[[z for z, _ in kinks]], [-place for _, place in kinks], link="positive")
    powers = [Features.build(own, link="power", parameter=exponent) for exponent in EXPONENTS[:3]]
    yield _joined(powers)
    if n_states <= MAX_PAIRED_STATES:
        i, j = np.triu_indices(n_states, 1)
        yield _joined([powers[0], Features.build(own[i] + own[j], link="power", parameter=2.0)])


def _one_share(n_states: int, share: float) -> np.ndarray:
    """Return S mean fields: in number z, state z has the given share and the other states share the rest equally."""
    rest = (1.0 - share) / max(1, n_states - 1)
    return np.where(np.eye(n_states) == 1.0, share, rest)


def _segments(function: Function, n_states: int, entries: np.ndarray) -> np.ndarray:
    """Return each entry along the segment between neighbouring vertices where it is curved most, (nodes, n)."""
    vertices = np.eye(n_states)
    most, found = np.zeros(len(entries)), np.zeros((len(SHARES), len(entries)))
    for z in range(n_states):
        ends = vertices[z], vertices[(z + 1) % n_states]
        line = np.array([function(t * ends[0] + (1.0 - t) * ends[1])[entries] for t in SHARES])
        bend = np.abs(line - line[0] - SHARES[:, None] * (line[-1] - line[0])).max(axis=0)
        more = bend > most
        most[more], found[:, more] = bend[more], line[:, more]
    return found


def _fits_segments(shape: Features, values: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which entries, on their segments, may be affine plus multiples of one link of each share, (n,).

    Shapes of several links or arguments are not looked at so, and may be everything.
    """
    n_states = shape.weights.shape[1]
    if len(shape.links) != n_states or len(np.unique(shape.offsets)) > 1 or len(np.unique(shape.parameters)) > 1:
        return np.ones(values.shape[1], dtype=bool)
    link = Features(np.ones((1, 1)), shape.offsets[:1], shape.links[:1], shape.parameters[:1])
    curves = (link.values(t[:, None]) for t in (SHARES, 1.0 - SHARES))
    columns = np.column_stack([np.ones_like(SHARES), SHARES, *curves])
    left, sizes, _ = np.linalg.svd(columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300), full_matrices=False)
    basis = left[:, sizes > INDEPENDENT]
    return np.asarray((np.abs(values - basis @ (basis.T @ values)) <= 100.0 * tolerance).all(axis=0))


def _fit(
    points: np.ndarray, columns: np.ndarray, values: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes (S, E) and coefficients (K, E) by least squares; zero where they do not explain an entry.

    The first half of the points, the vertices among them, are fitted to; all are checked. With two states each curved
    function of mu(0) is one of mu(1): the smaller coefficients are taken.
    """
    n_states, count = points.shape[1], columns.shape[1]
    n_fitted = n_states + (len(points) - n_states) // 2
    slopes, coefficients = np.zeros((n_states, values.shape[1])), np.zeros((count, values.shape[1]))
    if n_states + count > 0.9 * n_fitted:
        return slopes, coefficients
    best = np.full(values.shape[1], np.inf)
    single = n_states == 2 and count == 2
    for chosen in np.arange(count).reshape(2, 1) if single else np.arange(count)[None]:
        chosen, basis = _independent(points[:n_fitted], columns[:n_fitted], chosen)
        fitted = values[:n_fitted]
        on_basis = basis.T @ fitted
        if (np.abs(fitted - basis @ on_basis) > 100.0 * tolerance).any(axis=0).all():
            continue  # cheaper than the solution
        design = np.concatenate([points, columns[:, chosen]], axis=1)
        widths = np.abs(design[:n_fitted]).max(axis=0)
        scaled = design[:n_fitted] / widths
        factors = scipy.linalg.lu_factor(basis.T @ scaled)
        solution = scipy.linalg.lu_solve(factors, on_basis)
        # once more, against rounding
        solution += scipy.linalg.lu_solve(factors, basis.T @ (fitted - scaled @ solution))
        solution /= widths[:, None]
        exact = (np.abs(design @ solution - values) <= tolerance).all(axis=0)
        linear, curved = solution[:n_states], solution[n_states:]
        size = np.abs(linear - least_absolute(linear)).sum(axis=0) + np.abs(curved).sum(axis=0)
        better = exact & (size < best)
        best[better] = size[better]
        slopes[:, better], coefficients[:, better] = linear[:, better], 0.0
        coefficients[np.ix_(chosen, better)] = curved[:, better]
    return slopes, coefficients


def _points(n_states: int) -> np.ndarray:
    """Return mean fields to fit to and to check at, shape (M, S), the vertices first."""
    rng = np.random.default_rng(0)
    count = 64 + (3 if n_states <= MANY_POINTS_STATES else 1) * n_states
    drawn = [rng.dirichlet(np.full(n_states, shape), size=count) for shape in (0.3, 1.0)]
    # one share tiny, for shifts and floors of logarithms, and one arbitrary, for kinks
    for shares in (10.0 ** -rng.uniform(1.0, DIGITS, 64), rng.uniform(0.0, 1.0, count)):
        others = rng.dirichlet(np.ones(n_states), size=len(shares))
        chosen = rng.integers(n_states, size=len(shares))
        rows = np.arange(len(shares))
        others[rows, chosen] = 0.0
        others *= ((1.0 - shares) / np.maximum(others.sum(axis=1), 1e-300))[:, None]
        others[rows, chosen] = shares if n_states > 1 else 1.0
        drawn.append(others)
    inside = np.concatenate(drawn)
    return np.concatenate([np.eye(n_states), inside[rng.permutation(len(inside))]])


def _independent(points: np.ndarray, columns: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chosen columns that are no combination of points and earlier columns, and a basis of all."""
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
    """Return pairs (z, c) such that some entry has a kink at mu(z) = c, and is linear on both sides of it."""
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
                place = float(rounded(np.array(meet / (NODES - 1))))
                if 0.0 < place < 1.0 and all(abs(place - known) > 1e-9 for known in places):
                    places.append(place)
        if len(places) <= MAX_KINKS:
            found += [(z, place) for place in places]
    return found


def _shares(function: Function, n_states: int, entry: int) -> str:
    """Return in words the shares mu[z] of which an entry is a curved function, for the message."""
    vertices = np.eye(n_states)

    def is_curved(z: int) -> bool:
        ends = vertices[z], vertices[(z + 1) % n_states]
        line = np.array([function((1.0 - t) * ends[0] + t * ends[1])[entry] for t in np.linspace(0.0, 1.0, 17)])
        return bool(np.abs(np.diff(line, n=2)).max() > 100.0 * TOLERANCE * max(1.0, float(np.abs(line).max())))

    curved = [is_curved(z) for z in range(n_states)]
    found = [z for z in range(n_states) if curved[z] and curved[z - 1]]
    if not found:
        return "the mean field"
    return " and ".join([*(f"mu[{z}]" for z in found[:3]), *[f"{len(found) - 3} more"] * (len(found) > 3)])


def _with_kinks(
    base: np.ndarray, families: list[Features], terms: list[np.ndarray]
) -> tuple[np.ndarray, list[Features], list[np.ndarray]]:
    """Write b x - b max(0, x - c) with min(1, x / c), and b x - 2 b max(0, x - c) with |x - c|: sharper bounds."""
    base, affine = base.copy(), terms[0].copy()
    families, terms = list(families), [affine, *(term.copy() for term in terms[1:])]
    for shape, bends in zip(families[1:], terms[1:], strict=True):
        single = ((shape.weights == 0.0) | (shape.weights == 1.0)).all() and (shape.weights.sum(axis=1) == 1.0).all()
        if (shape.links != LINKS.index("positive")).any() or not single or (shape.offsets >= 0.0).any():
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
    """Return one table (1 + K, E) of the base and the terms that are not zero, and the features of those."""
    features, table = _joined(families), np.concatenate(terms)
    used = table.any(axis=1)
    chosen = Features(*(getattr(features, name)[used] for name in Features.__dataclass_fields__))
    return np.concatenate([base[None], table[used]]), chosen


def _joined(families: list[Features]) -> Features:
    """Return several families as one."""
    names = Features.__dataclass_fields__
    return Features(*(np.concatenate([getattr(family, name) for family in families]) for name in names))
