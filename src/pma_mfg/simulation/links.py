"""Compiled links and features of a game, phi_k(mu) = g_k(<w_k, mu> + b_k) (docs/theory, section 1).

`simulation.exchangeable.feature_tables` brings the features of a game into the form that is read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import BORROWED, CUBE, FLOAT, INTEGER, INTEGERS, MATRIX, NONE, TUPLE, VECTOR, kernel_cache

#: Type of K features. Those entries of the weights that are not zero: feature k has the entries starts[k], ...,
#: starts[k + 1] - 1 of states and weights. Then offsets, links and parameters, (K,) each.
FEATURES = TUPLE((INTEGERS, INTEGERS, VECTOR, VECTOR, INTEGERS, VECTOR))

#: Type of a game with dense tables: P0 (S, A, S), P_k (K, S, A, S), their features; R0 (S, A), R_l (L, S, A), their
#: features.
DENSE_GAME = TUPLE((CUBE, FLOAT[:, :, :, ::1], FEATURES, MATRIX, CUBE, FEATURES))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(FLOAT(INTEGER, FLOAT, FLOAT), **BORROWED)
    def linked(link: Any, parameter: Any, x: Any) -> Any:
        """Return g(x) of a link, by its code in `games.model.LINKS`."""
        if link == 1:
            x = abs(x)
        elif link == 2:
            x = np.log(x + parameter)
        elif link == 3:
            x = min(1.0, x)
        elif link == 4:
            x = max(0.0, x)
        elif link == 5:
            x = max(0.0, x) ** parameter
        elif link == 6:
            x = np.log(max(x, parameter))
        elif link == 7:
            x = 1.0 / (x + parameter)
        elif link == 8:
            x = np.exp(x)
        return x

    @kernel(FLOAT(FEATURES, INTEGER, VECTOR), inline="always", **BORROWED)
    def feature_value(features: Any, k: Any, mean_field: Any) -> Any:
        """Return phi_k(mu)."""
        starts, states, weights, offsets, links, parameters = features
        x = offsets[k]
        for i in range(starts[k], starts[k + 1]):
            x += weights[i] * mean_field[states[i]]
        return x if links[k] == 0 else linked(links[k], parameters[k], x)

    @kernel(NONE(VECTOR, FEATURES, VECTOR), **BORROWED)
    def feature_values(mean_field: Any, features: Any, out: Any) -> None:
        """Write phi_k(mu) into out, shape (K,)."""
        starts, states, weights, offsets, links, parameters = features
        for k in range(len(out)):  # a call of `feature_value` in this place takes a third longer
            x = offsets[k]
            for i in range(starts[k], starts[k + 1]):
                x += weights[i] * mean_field[states[i]]
            out[k] = x if links[k] == 0 else linked(links[k], parameters[k], x)
