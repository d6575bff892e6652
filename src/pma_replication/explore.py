"""The explorable part of the report: small games as JSON, and the scripts that solve and show them.

The page computes what `operators`, `jacobian` and `populations.fluctuations` compute, in plain JavaScript, so that a
reader may choose a game and move the strength, the step size and the number of agents without a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from pma_mfg.errors import InputError
from pma_mfg.games import files
from pma_mfg.games.features import LINKS, Features
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame

FOLDER = Path(__file__).parent

#: What solves the games, and what shows them.
SCRIPTS = ("explore_solver.js", "explore_page.js")

#: Largest number of directions of a policy, S (A - 1), and of entries of its tables, of a game in the page: it is then
#: solved while a slider moves, and all games together have some 200 kB.
MOST_DIRECTIONS, MOST_ENTRIES = 64, 3000


def zoo(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the games of a run that are small enough; of equal ones, which differ in their regularizer, the first.

    Parameters
    ----------
    folder : Path
        Of the run's games.
    settings : mapping
        The games of its configuration, in their order.

    Returns
    -------
    list of dict
        Of `as_data`, with the regularizer and strength of the configuration.
    """
    found: list[MeanFieldGame] = []
    shown = []
    for name, each in settings.items():
        if not (path := folder / f"{name}.npz").is_file() or each.get("regularizer") not in ("entropy", "quadratic"):
            continue
        game = small(files.load(path))
        if game is not None and game not in found:
            found.append(game)
            start = {"regularizer": each["regularizer"], "strength": float(each["strength"])}
            shown.append({"name": name.replace("_", " "), **as_data(game), **start})
    return shown


def small(game: Game) -> MeanFieldGame | None:
    """Return a game with dense tables if it is small enough for the page and has features, else None."""
    if game.n_states * (game.n_actions - 1) not in range(1, MOST_DIRECTIONS + 1):
        return None
    try:
        game = game.with_features("explore").dense("explore")
    except InputError:
        return None
    tables = (game.base_transition, game.transition_terms, game.base_reward, game.reward_terms)
    return game if sum(np.size(table) for table in tables) <= MOST_ENTRIES else None


def as_data(game: MeanFieldGame) -> dict[str, Any]:
    """Return a dense game as explore_solver.js reads it: lists of numbers, which JSON keeps to the last bit."""
    pairs = game.n_states * game.n_actions
    return {
        "discount": float(game.discount),
        "states": game.n_states,
        "actions": game.n_actions,
        "P": _part(game.base_transition, game.transition_terms, game.transition_features, (pairs, game.n_states)),
        "R": _part(game.base_reward, game.reward_terms, game.reward_features, (pairs,)),
    }


def _part(base: np.ndarray, terms: np.ndarray, features: Features, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "base": base.reshape(shape).tolist(),
        "terms": terms.reshape(len(features.links), *shape).tolist(),
        "weights": np.asarray(features.weights).tolist(),
        "offsets": features.offsets.tolist(),
        "links": [LINKS[link] for link in features.links],
        "parameters": features.parameters.tolist(),
    }


def section(games: Iterable[Mapping[str, Any]]) -> Markup:
    """Return the controls, the games and the script as HTML; nothing if there is no game."""
    games = list(games)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    text = environment.get_template("explore.html").render(games=games, script=Markup(script))
    return Markup(text if games else "")
