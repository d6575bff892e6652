"""Averages of a game's features and tables over a Gaussian mean field (docs/theory, sections 9.2 and 9.5).

A feature phi(mu) = g(w.mu + b) depends on one number, which is normal if mu is: for the identity and for links with a
kink E g has a closed form, from E|X| = sigma sqrt(2 / pi) exp(-m^2 / (2 sigma^2)) + m erf(m / (sigma sqrt(2))); for the
smooth ones it is a quadrature. Games of functions are averaged to second order along the principal axes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import erf

from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import KINK_WIDTH, LINKS, Features
from pma_mfg.games.functions import FunctionGame

#: Nodes of the Gaussian quadrature for smooth links; those with kinks and the identity have closed forms.
QUADRATURE_NODES = 64


def averaged_features(features: Features, centres: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return E phi_k(X) for X ~ N(centres[s], covariance), shape (S, K)."""
    means = features.arguments(centres)
    deviations = deviations_of(features, covariance)
    values = np.empty_like(means)
    for k, link in enumerate(features.links):
        mean, deviation = means[:, k], float(deviations[k])
        match LINKS[link]:
            case "identity":
                values[:, k] = mean
            case "absolute":
                values[:, k] = _folded(mean, deviation)
            case "positive":  # max(0, x) = (x + |x|) / 2
                values[:, k] = 0.5 * (mean + _folded(mean, deviation))
            case "minimum":  # min(1, x) = (1 + x - |x - 1|) / 2
                values[:, k] = 0.5 * (1.0 + mean - _folded(mean - 1.0, deviation))
            case _:
                values[:, k] = _quadrature(features, k, mean, deviation)
    return values


def averaged_functions(
    game: FunctionGame, centres: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return E P(.|s,.,X) and E R(s,.,X) for X ~ N(centres[s], covariance) to second order (docs/theory, section 1.2).

    Along each principal axis v of the covariance f(c) + (f(c + t v) - 2 f(c) + f(c - t v)) / (2 t^2), with t = sqrt(S)
    or less, so that the points stay in the simplex: exact for quadratic f.
    """
    variances, vectors = np.linalg.eigh(covariance)
    transition = np.empty((game.n_states, game.n_actions, game.n_states))
    reward = np.empty((game.n_states, game.n_actions))
    for s, centre in enumerate(np.maximum(centres, 0.0)):
        centre = centre / centre.sum()
        for table, function in ((transition, game.transition), (reward, game.reward)):
            here = function(centre)[s]
            table[s] = here
            for variance, vector in zip(variances, vectors.T, strict=True):
                if variance > 1e-12 * variances[-1]:
                    axis = np.sqrt(variance) * vector
                    room = float((centre / np.maximum(np.abs(axis), 1e-300)).min())
                    if (t := min(np.sqrt(len(centre)), 0.99 * room)) > 0.0:
                        sides = function(centre + t * axis)[s] + function(centre - t * axis)[s]
                        table[s] += (sides - 2.0 * here) / (2.0 * t**2)
    return transition, reward


def deviations_of(features: Features, covariance: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each feature's argument under a covariance of the mean field, shape (K,)."""
    return np.asarray(
        np.sqrt(np.maximum(np.einsum("kz,zy,ky->k", features.weights, covariance, features.weights), 0.0))
    )


def _folded(mean: np.ndarray, deviation: float) -> np.ndarray:
    """Return E|X| for X ~ N(mean, deviation^2), entry by entry."""
    if deviation == 0.0:
        return np.asarray(np.abs(mean))
    z = mean / deviation
    return np.asarray(deviation * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z**2) + mean * erf(z / np.sqrt(2.0)))


@cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of the quadrature, which take longer to find than to use."""
    return hermegauss(QUADRATURE_NODES)


def _quadrature(features: Features, k: int, mean: np.ndarray, deviation: float) -> np.ndarray:
    """Return E g_k(X) for X ~ N(mean, deviation^2) cut to the range of the feature's argument on the simplex."""
    nodes, weights = _nodes()
    feature = features.select(k)
    ends = feature.arguments(np.eye(features.weights.shape[1]))
    # the Gaussian's tails leave the simplex; the mean field does not
    samples = np.clip(mean + nodes[:, None] * deviation, ends.min(), ends.max())
    return np.asarray(weights @ feature.link_values(samples[..., None])[..., 0] / weights.sum())


def second_derivatives(features: Features, mean_field: np.ndarray) -> np.ndarray:
    """Return g_k'' at each feature's argument, shape (K,), away from kinks."""
    x, parameters = features.arguments(mean_field), features.parameters
    found = np.zeros_like(x)
    for k, link in enumerate(features.links):
        if LINKS[link] == "log":
            found[k] = -((x[k] + parameters[k]) ** -2.0)
        elif LINKS[link] == "power" and x[k] > 0.0:
            found[k] = parameters[k] * (parameters[k] - 1.0) * x[k] ** (parameters[k] - 2.0)
        elif LINKS[link] == "floored_log" and x[k] > parameters[k]:
            found[k] = -(x[k] ** -2.0)
        elif LINKS[link] == "reciprocal":
            found[k] = 2.0 * (x[k] + parameters[k]) ** -3.0
        elif LINKS[link] == "exponential":
            found[k] = np.exp(x[k])
    return found


def kink_shares(features: Features, mean_field: np.ndarray) -> np.ndarray:
    """Return what |x| contributes to each feature next to mu, shape (K,): zero off its kink."""
    shares = {"absolute": 1.0, "positive": 0.5, "minimum": -0.5, "power": np.nan}
    at_kink = np.abs(features.arguments(mean_field) - features.kinks()) < KINK_WIDTH
    found = np.array([shares.get(LINKS[link], 0.0) for link in features.links])
    if np.isnan(found[at_kink]).any():
        raise InputError("fluctuations", "reward", Description("the link power at its kink"), "another link there")
    return np.where(at_kink, found, 0.0)


def directional_derivatives(features: Features, mean_field: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the derivative of each feature at mu in the directions x (X, S), shape (X, K): one-sided at a kink."""
    bent = np.abs(x @ features.weights.T) * kink_shares(features, mean_field)
    return np.asarray(x @ features.gradients(mean_field).T + bent)
