"""What `pma-mfg verify` runs on one game, and what it costs: exact PMA from several starts."""

from __future__ import annotations

import math

from pma_mfg.commands import step_sizes
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import MIRRORS
from pma_mfg.theory import attraction, certificates, invariant_sets
from pma_replication.cost import Units
from pma_replication.experiments.contraction import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _contraction(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    solved = subject.game, subject.regularizer, subject.policy
    sizes = {key: settings[key] for key in ("n_starts", "max_iterations")} | {"seed": seed}
    runs = {"name": subject.name, "step_sizes": subject.step_sizes(settings), **sizes}
    iterates, rates = measure.pma_convergence(*solved, **runs, after_run=advance)
    certified = measure.certified_convergence(*solved, **runs)
    advance()
    return {"iterates": iterates, "rates": rates, "certified": certified}


#: Largest number of terms of a certificate that is computed only to count runs, some tenths of a second.
LARGEST = 10**8


def runs(units: Units, settings: Settings) -> list[int]:
    """Return how many runs there are with each step size: of those that are measured, and that are certified.

    In a large game, whose certificates take longer than all else here, none is taken to be certified: the true number
    is at most three times as large.
    """
    regularizer, count = units.regularizer, settings["n_starts"]
    etas = [step_sizes.absolute(one, regularizer) for one in settings["step_sizes"]]
    found = [count] * len(etas)
    if not units.game.has_features:
        return found
    game = units.game.with_features("cost")
    if terms(game) > LARGEST:
        return found
    for mirror in MIRRORS:
        bounds = invariant_sets.invariant_set(game, regularizer, mirror)
        near = attraction.attraction(game, regularizer, etas, equilibrium=units.policy, mirror=mirror, found=bounds)
        for i, eta in enumerate(etas):
            everywhere = certificates.certificate(game, regularizer, eta, mirror=mirror, found=bounds).L_gamma
            found[i] += count * (min(everywhere, near[i]) < 1.0)
    return found


def terms(game: MeanFieldGame) -> int:
    """Return the order of the operations of a certificate: of two rows, for two states, by feature."""
    pairs = game.n_states * game.n_actions
    n_features = max(len(game.transition_features.links) * game.n_states, len(game.reward_features.links), 1)
    return pairs**2 * game.n_states**2 * n_features


def _seconds(units: Units, settings: Settings) -> float:
    most = settings["max_iterations"]
    radii = [max(units.radius(step_size), 1e-6) for step_size in settings["step_sizes"]]
    lengths = [min(most, -25 / math.log(radius)) if radius < 1.0 else most for radius in radii]
    return units.pma * sum(math.prod(of_step) for of_step in zip(runs(units, settings), lengths, strict=True))


STEPS = {
    "contraction": Step(
        section="contraction",
        ticks=lambda s: 1 + s["n_starts"] * len(s["step_sizes"]),
        run=_contraction,
        seconds=_seconds,
    ),
}
