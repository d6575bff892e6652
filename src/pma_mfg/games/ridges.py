"""Functions of one argument x = <w, mu> + b per entry, recognized as features (docs/theory, section 1.3).

`smooth_ridges` finds 1 / x and exp(x), `bent_ridges` functions with kinks, linear between them, such as
min(max(x, c), d). Both propose, and `recognition` checks what they propose.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy

from pma_mfg.games.features import Features
from pma_mfg.games.functions import Function

#: Largest difference between a function and its features at any mean field tried, relative to max(1, largest value). It
#: is some thousand roundings, and as much as an entry of the transitions may be off.
TOLERANCE = 1e-12

#: Coefficients are rounded to 8 decimals where that changes them by at most this; the features are checked afterwards.
DECIMAL_WIDTH = 1e-11

#: Number of points on a line through the simplex on which kinks are looked for.
NODES = 129

#: Largest number of kinks on one line; a smoothly curved function seems to have one in every cell.
MAX_KINKS = 4

#: Two entries have the same argument x if their arguments differ by less than this at all vertices.
SAME_ARGUMENT = 1e-6

#: Largest number of kink patterns, and of vertices beyond the kinks, that are examined. Each takes six evaluations per
#: state and piece.
MAX_BENDS = 12

#: Arguments are improved for as many groups of entries as keep groups x mean fields x S^2 below this (a second).
REFINED = 3 * 10**7

#: What may explain n entries: features, slopes (S, n) in the mean field, and coefficients (K, n) of the features.
Proposal = tuple[Features, np.ndarray, np.ndarray]


def smooth_ridges(
    function: Function, points: np.ndarray, values: np.ndarray, *, entries: np.ndarray
) -> Iterator[Proposal]:
    """Yield features 1 / x and exp(x) of one argument x = <w, mu> + b per entry (docs/theory, Lemma 1.2)."""
    n_states = points.shape[1]
    centre, vertices = _generic(n_states), np.eye(n_states)
    times = np.linspace(0.0, 1.0, 9)
    lines = np.array([[function((1.0 - t) * centre + t * v)[entries] for t in times] for v in vertices])  # (S, 9, n)
    bends = np.diff(lines, n=2, axis=1)
    straight = np.abs(bends).max(axis=1) <= 1e-13 * max(1.0, float(np.abs(lines).max()))
    with np.errstate(all="ignore"):  # for other functions these numbers are meaningless, and fail the check
        # f (1 + r t) is quadratic in t: r from what is left of f and of t f when quadratic functions are taken out
        without = scipy.linalg.null_space(np.vander(times, 3).T).T
        curved, moved = (np.einsum("kt,ztn->zkn", without, part) for part in (lines, times[:, None] * lines))
        ratio = np.where(straight, 0.0, -(curved * moved).sum(axis=1) / (moved**2).sum(axis=1))
        # second differences of exp(k t) are a geometric sequence
        growth = (bends[:, 1:] * bends[:, :-1]).sum(axis=1) / (bends[:, :-1] ** 2).sum(axis=1)
        rate = np.where(straight, 0.0, np.log(growth) / times[1])
    groups: list[tuple[str, np.ndarray, np.ndarray]] = []
    for link, arguments in (("reciprocal", 1.0 + ratio), ("exponential", rate)):
        left = np.flatnonzero(np.isfinite(arguments).all(axis=0))
        left = left[np.argsort(-np.abs(bends).max(axis=(0, 1))[left], kind="stable")]
        for _ in range(2 * n_states):
            if len(left) == 0:
                break
            own = arguments[:, left[0]]  # of the entry that is curved most, which knows it best
            same = np.abs(arguments[:, left] - own[:, None]).max(axis=0) <= SAME_ARGUMENT * (1.0 + np.abs(own).max())
            groups.append((link, own, left[same]))
            left = left[~same]
    most = REFINED // (len(points) * n_states**2)
    for refine, tried in ((False, groups), (True, groups[:most])):
        for link, own, chosen in tried:
            argument = _refined(link, own, points, values[:, chosen[0]]) if refine else own
            shift = float(least_absolute(argument[:, None])[0])
            weights = argument - shift
            scale = float(weights[np.abs(weights).argmax()]) if link == "reciprocal" else 1.0
            for tidy in (rounded, np.asarray) if scale else ():
                parameter = float(tidy(np.array(shift / scale))) if link == "reciprocal" else 0.0
                shape = Features.build(tidy(weights / scale)[None], link=link, parameter=parameter)
                yield _amplitudes(shape, points, values, chosen)


def _refined(link: str, argument: np.ndarray, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the argument's values at the vertices, (S,), after three Gauss-Newton steps on one entry's values (M,)."""
    for _ in range(3):
        with np.errstate(all="ignore"):
            x = points @ argument
            curve = 1.0 / x if link == "reciprocal" else np.exp(x)
            slope = -(curve**2) if link == "reciprocal" else curve
            model = np.column_stack([points, curve])
            if not np.isfinite(model).all():
                return argument
            solution = np.linalg.lstsq(model, values, rcond=1e-15)[0]
            steps = solution[-1] * slope[:, None] * points
            if not np.isfinite(steps).all():
                return argument
            # the scale of 1 / x and the shift of exp(x) are in the coefficient: the least change of the argument
            change = np.linalg.lstsq(np.column_stack([model, steps]), values - model @ solution, rcond=1e-13)[0]
        argument = argument + change[len(solution) :]
    return argument


def _amplitudes(shape: Features, points: np.ndarray, values: np.ndarray, chosen: np.ndarray) -> Proposal:
    """Return one feature with slopes (S, n) and coefficients (1, n) of the chosen entries; zero for the others."""
    n_states = points.shape[1]
    coefficients, slopes = np.zeros((1, values.shape[1])), np.zeros((n_states, values.shape[1]))
    with np.errstate(all="ignore"):
        curve = shape.values(points)[:, 0]
        # what is left of both when the affine functions with the same values at the vertices are taken out
        bent = curve - points @ curve[:n_states]
        entries = values[:, chosen] - points @ values[:n_states, chosen]
        found = bent @ entries / (bent @ bent)
    if np.isfinite(found).all() and np.isfinite(curve).all():
        coefficients[0, chosen] = found
        slopes[:, chosen] = values[:n_states, chosen] - curve[:n_states, None] * found
    return shape, slopes, coefficients


def bent_ridges(
    function: Function, points: np.ndarray, values: np.ndarray, *, entries: np.ndarray
) -> Iterator[Proposal]:
    """Yield features max(0, <w, mu> + b) of entries that are affine between parallel kinks (docs/theory, section 1.3).

    The kinks are crossed on the way from the vertex p where an entry departs most from its tangent in the middle of the
    simplex to the vertex q where it departs most from its tangent at p; affine functions in the middle of neighbouring
    pieces differ by the bend between them.
    """
    n_states = points.shape[1]
    # a little inside, where nothing is special
    corners = 0.98 * np.eye(n_states) + 0.02 * _generic(n_states)
    at_vertices = values[:n_states]
    middle = _tangent(function, _generic(n_states), entries)
    pairs: dict[tuple[int, int], list[int]] = {}
    tangents = {}
    farthest = np.abs(at_vertices - middle).argmax(axis=0)
    for p in map(int, np.unique(farthest[np.isfinite(middle).all(axis=0)])[:MAX_BENDS]):
        tangents[p] = _tangent(function, corners[p], entries)
        departures = np.abs(at_vertices - tangents[p])
        for e in map(int, np.flatnonzero((farthest == p) & np.isfinite(tangents[p]).all(axis=0))):
            # where several vertices lie behind all kinks they depart as much, as may one that lies on the last
            for q in np.flatnonzero(departures[:, e] >= (1.0 - SAME_ARGUMENT) * departures[:, e].max())[:MAX_KINKS]:
                pairs.setdefault((p, int(q)), []).append(e)
    times = np.linspace(0.0, 1.0, NODES)
    patterns: dict[tuple[int, int, bytes], list[int]] = {}
    for (p, q), together in pairs.items():
        chosen = np.array(together)
        line = np.array([function((1.0 - t) * corners[p] + t * corners[q])[entries[chosen]] for t in times])
        bends = np.abs(np.diff(line, n=2, axis=0)) > 10.0 * TOLERANCE * max(1.0, float(np.abs(line).max()))
        for i, e in enumerate(together):
            patterns.setdefault((p, q, bends[:, i].tobytes()), []).append(e)
    for (p, q, pattern), alike in list(patterns.items())[:MAX_BENDS]:
        nodes = 1 + np.flatnonzero(np.frombuffer(pattern, dtype=bool))
        runs = np.split(nodes, 1 + np.flatnonzero(np.diff(nodes) > 1))
        if len(nodes) and len(runs) <= 2:
            starts = [*(times[int(run[0])] for run in runs[1:]), 1.0]
            shares = [0.5 * (times[int(run[-1])] + start) for run, start in zip(runs, starts, strict=True)]
            middles = [(1.0 - t) * corners[p] + t * corners[q] for t in shares]
            pieces = [_tangent(function, at, entries[alike]) for at in middles]
            if np.isfinite(pieces).all():
                yield _bent([tangents[p][:, alike], *pieces], middles, np.array(alike), len(entries))


def _bent(pieces: list[np.ndarray], middles: list[np.ndarray], chosen: np.ndarray, count: int) -> Proposal:
    """Return the features between neighbouring affine pieces, given by their values at the vertices, (S, n) each."""
    n_states = len(pieces[0])
    rows: dict[bytes, int] = {}
    entries: list[tuple[int, int, float]] = []
    arguments: list[np.ndarray] = []
    for before, after, middle in zip(pieces, pieces[1:], middles, strict=False):
        for i, e in enumerate(chosen):
            bend = after[:, i] - before[:, i]
            sign = 1.0 if float(middle @ bend) > 0.0 else -1.0
            shift = float(least_absolute(bend[:, None])[0])
            scale = float(np.abs(bend - shift).max()) or 1.0
            argument = rounded(sign * np.append(bend - shift, shift) / scale)
            k = rows.setdefault((np.round(argument, 9) + 0.0).tobytes(), len(rows))  # no -0.0
            arguments += [argument] if k == len(arguments) else []
            entries.append((k, int(e), sign * scale))
    slopes, coefficients = np.zeros((n_states, count)), np.zeros((len(rows), count))
    slopes[:, chosen] = pieces[0]
    for k, e, coefficient in entries:
        coefficients[k, e] += coefficient
    table = np.array(arguments)
    return Features.build(table[:, :-1], table[:, -1], "positive"), slopes, coefficients


def _tangent(function: Function, at: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return the tangent of each entry at a mean field, as its values at the vertices, shape (S, n).

    Differences over the longest step, of three, on which the entry is linear towards all vertices; nan if on none.
    """
    here = np.array(function(at)[entries])
    found = np.full((len(at), len(entries)), np.nan)
    noise = 20.0 * np.finfo(float).eps * max(1.0, float(np.abs(here).max()))
    for step in (2.0**-3, 2.0**-6, 2.0**-9):
        ends = [[function(at + t * (v - at))[entries] for t in (0.5 * step, step)] for v in np.eye(len(at))]
        half, whole = np.moveaxis(np.array(ends), 1, 0) - here
        linear = (np.abs(whole - 2.0 * half) <= noise).all(axis=0) & np.isnan(found[0])
        found[:, linear] = (here + whole / step)[:, linear]
    return found


def _generic(n_states: int) -> np.ndarray:
    """Return a random mean field in the middle of the simplex, shape (S,)."""
    return np.asarray(0.5 / n_states + 0.5 * np.random.default_rng(1).dirichlet(np.ones(n_states)))


def least_absolute(slopes: np.ndarray) -> np.ndarray:
    """Return the c that minimizes sum_z |slopes(z) - c|, shape (E,); of several the one closest to zero."""
    ordered = np.sort(slopes, axis=0)
    low, high = ordered[(len(slopes) - 1) // 2], ordered[len(slopes) // 2]
    return np.asarray(np.clip(0.0, low, high))


def rounded(x: np.ndarray) -> np.ndarray:
    """Return numbers rounded to 8 decimals where that changes them by at most `DECIMAL_WIDTH` times max(1, |x|)."""
    decimal = np.round(x, 8) + 0.0
    return np.where(np.abs(x - decimal) <= DECIMAL_WIDTH * np.maximum(1.0, np.abs(x)), decimal, x)
