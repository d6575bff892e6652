"""The configuration of a replication, checked before any work starts.

The models of all experiments' settings are joined here to that of a whole file. What they cannot say is added: that
names refer to games that exist, that a family accepts its parameters, that a file is sound, that a folder can be used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from pma_mfg import games
from pma_mfg.errors import Description, InputError, InputErrors, is_plain
from pma_mfg.storage import regular_file
from pma_replication import experiments, registry, validation, yaml_files
from pma_replication.settings import Chosen, Section, Top, make_game
from pma_replication.validation import Place, one_of

#: The folder of the code that runs, which no result may be written into.
REPOSITORY = Path(__file__).resolve().parents[2]

#: Folders at the top of the repository that no result may be written into.
SOURCES = (".git", ".snakemake", ".venv", "benchmarks", "config", "docs", "profiles", "src", "tests", "workflow")

#: What a run writes into its results: neither figures nor a game's file may be there.
WRITTEN = ("benchmarks", "equilibria", "games", "logs", "points", "tables")
#: The sections that are experiments on games. Each may be left out, and nothing of it is run.
SECTIONS: dict[str, type[Section]] = experiments.joined("settings", "SECTIONS")

#: A whole configuration.
MODEL: type[Top] = create_model(
    "Configuration",
    __base__=Top,
    __doc__=Top.__doc__,
    **{name: (section, Field(default=None)) for name, section in SECTIONS.items()},  # type: ignore[call-overload]
)


def read(path: str | Path) -> Any:
    """Read a YAML file, and refuse what YAML takes for another number than a reader does.

    Raises
    ------
    InputError
        As `pma_replication.yaml_files.read`, and of misread numbers.
    """
    content, problems = yaml_files.read(path)
    _refuse(str(path), problems)
    return content


def load(path: str | Path) -> dict[str, Any]:
    """Read a YAML configuration and check it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict

    Raises
    ------
    InputError
        Names the file, the key, the value and what is allowed, of all that is wrong at once.
    """
    content, problems = yaml_files.read(path)
    _, found = _checked(content, str(path))
    _refuse(str(path), [*problems, *found])
    configuration: dict[str, Any] = content
    return configuration


def check(content: Any, source: str) -> frozenset[str]:
    """Check a configuration, and return the games that stay Python functions.

    Parameters
    ----------
    content : object
        What the YAML file held.
    source : str
        The file's name, for messages.

    Returns
    -------
    frozenset of str
        Names of the games that have no features (`pma_mfg.games.recognition`).

    Raises
    ------
    InputError
        Everything that is wrong at once.
    """
    functions, problems = _checked(content, source)
    _refuse(source, problems)
    return functions


def described(settings: Mapping[str, Any], game: str, source: str, *, field: str = "games") -> Any:
    """Return what a configuration says of a game, as such or in one of its sections.

    Parameters
    ----------
    settings : mapping
        The configuration's `games`, or those of the section.
    game : str
    source : str
        The file's name, for messages.
    field : str
        Where `settings` are in it.

    Raises
    ------
    InputError
        If there is no such game; names the one that is most like it.
    """
    if game not in settings:
        raise InputError(source, field, Description(f"no game {game}"), one_of(game, settings))
    return settings[game]


def studied(settings: Mapping[str, Any]) -> list[str]:
    """Return the games that are in more than the literature, the comparisons of methods and the paths, or in nothing.

    Their numbers are in assumptions.md, and their picture is in the figure `equilibria`; games of the section
    `literature` have their own.
    """
    games_of = {section: set(settings.get(section, {}).get("games", ())) for section in SECTIONS}
    literature = games_of.pop("literature")
    for section in ("comparison", "one_trajectory", "paths", "regularization", "regularization_annealing"):
        del games_of[section]
    return [game for game in settings["games"] if game not in literature.difference(*games_of.values())]


def tables(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the tables that a configuration makes."""
    return list(registry.points(settings))


def finished(path: str | Path) -> dict[str, Any]:
    """Read the configuration of a run, and refuse it unless the run has made its verdicts and all of its tables.

    Raises
    ------
    InputError
        Names the files that are missing, and the command that makes them.
    """
    settings: dict[str, Any] = read(path)
    if not _is_shaped(settings):
        wanted = "a configuration, with results, figures and games"
        raise InputError(str(path), "file", Description("something else"), wanted)
    results = Path(settings["results"])
    files = [results / "claims.json", *(results / f"tables/{name}.parquet" for name in tables(settings))]
    if missing := [str(file.relative_to(results)) for file in files if not file.exists()]:
        told = Description(f"no {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""))
        raise InputError(str(results), "unfinished run", told, f"all of them; make replicate CONFIG={path} makes them")
    return settings


def _is_shaped(settings: Any) -> bool:
    """Return whether settings have the shape that `studied` and `tables` look at; the run has checked the rest."""
    if not (isinstance(settings, dict) and all(is_plain(settings.get(key)) for key in ("results", "figures"))):
        return False
    sections = [settings[section] for section in SECTIONS if section in settings]
    lists = [section.get("games", {}) if isinstance(section, dict) else None for section in sections]
    names = [name for games_of in lists if isinstance(games_of, list | dict) for name in games_of]
    return (
        isinstance(settings.get("games"), dict)
        and all(isinstance(games_of, list | dict) for games_of in lists)
        and all(isinstance(name, str) for name in (*names, *settings["games"]))
    )


def _refuse(source: str, problems: Sequence[InputError]) -> None:
    """Raise one error that lists every distinct problem; return if there is none."""
    found = list({str(problem): problem for problem in problems}.values())
    if found:
        raise found[0] if len(found) == 1 else InputErrors(source, found)


@contextmanager
def _noted(problems: list[InputError]) -> Iterator[None]:
    """Note what is refused, and go on after it."""
    try:
        yield
    except InputErrors as several:
        problems += several.problems
    except InputError as refused:
        problems.append(refused)


def _checked(content: Any, source: str) -> tuple[frozenset[str], list[InputError]]:
    """Return the games that stay Python functions, and all problems; what depends on a problem is not looked at."""
    problems, wrong = validation.problems(MODEL, content, source)
    if not isinstance(content, dict):
        return frozenset(), problems
    sound = {key for key in content if not any(place[0] == key for place in wrong)}
    _check_folders(source, content, sound, problems)
    described = content["games"] if isinstance(content.get("games"), dict) else {}
    described = {name: game for name, game in described.items() if is_plain(name) and isinstance(game, dict)}
    made = _make_games(source, content, described, wrong, problems)
    sections = {name: content[name] for name in SECTIONS if name in content}
    if content.get("games") == {} and not {"atlas", "networked"} & set(sections) and not wrong:
        problems.append(
            InputError(source, "games", {}, "at least one game, or a section that makes its own: atlas, networked")
        )
    _check_names(source, sections, content.get("games"), made, problems)
    chosen = {
        name: Chosen(game, described[name]["regularizer"], described[name]["strength"])
        for name, game in made.items()
        if not any(place[:2] == ("games", name) for place in wrong)
    }
    for name in (section for section in sections if section in sound):

        def refuse(field: str, value: Any, allowed: str, name: str = name) -> None:
            problems.append(InputError(source, f"{name}.{field}", value, allowed))

        SECTIONS[name].model_validate(content[name]).check(chosen, refuse)
    return frozenset(name for name, game in made.items() if not game.has_features), problems


def _make_games(
    source: str,
    content: Mapping[str, Any],
    described: Mapping[str, Mapping[str, Any]],
    wrong: set[Place],
    problems: list[InputError],
) -> dict[str, games.Game]:
    """Return the games that can be made, and note what is wrong with the others."""
    made: dict[str, games.Game] = {}
    spellings: dict[str, str] = {}

    def refuse(field: str, value: Any, allowed: str) -> None:
        problems.append(InputError(source, field, value, allowed))

    for name, game in described.items():
        if (other := spellings.setdefault(name.lower(), name)) != name:
            refuse("games", name, f"a name that differs from {other} in more than capital letters")
        generated, loaded = {"family", "parameters"} & game.keys(), "file" in game
        if bool(generated) == loaded or len(generated) == 1:
            refuse(f"games.{name}", sorted(map(str, game)), "either family and parameters, or file")
            continue
        if "inputs" in game and not loaded:
            refuse(f"games.{name}", Description("inputs"), "inputs beside a Python file only")
        sources = ("family", "parameters", "file", "inputs")
        if any(place[:3] == ("games", name, key) for place in wrong for key in sources):
            continue
        if loaded:
            with _noted(problems):
                made[name] = _load_game(source, name, game, content.get("results"))
        elif (found := make_game(game["family"], game["parameters"], refuse, place=f"games.{name}")) is not None:
            made[name] = found
    return made


def _load_game(source: str, name: str, game: Mapping[str, Any], results: Any) -> games.Game:
    """Return the game of a file, which must not be where the run writes its own: it would be made from itself."""
    field, path = f"games.{name}.file", game["file"]
    written = [Path(results, folder).resolve() for folder in WRITTEN] if isinstance(results, str) else []
    if any(Path(path).resolve().is_relative_to(folder) for folder in written):
        raise InputError(source, field, path, "a file that the run does not write itself, outside of its results")
    for other in (inputs := game.get("inputs", [])):
        regular_file(other, f"a file that {path} reads")
    try:
        return games.load(path, inputs)
    except InputError as refused:
        if refused.field != "file":
            raise
        raise InputError(source, f"{field}, {path}", refused.value, refused.allowed) from None


def _check_names(
    source: str, sections: Mapping[str, Any], described: Any, made: Mapping[str, games.Game], problems: list[InputError]
) -> None:
    """Note the games of the sections that are not there, or lack the features that a section needs."""
    if not isinstance(described, dict):
        return
    known = [name for name in described if is_plain(name)]
    for section, settings in sections.items():
        names = settings.get("games", ()) if isinstance(settings, dict) else ()
        for i, name in enumerate(names if isinstance(names, list | dict) else ()):
            if isinstance(name, str) and name not in known:
                problems.append(InputError(source, f"{section}.games[{i}]", name, one_of(name, known)))
            elif isinstance(name, str) and SECTIONS[section].needs_features:
                game = made.get(name)
                if game is not None and not game.has_features:
                    allowed = (
                        f"a game with features, from which bounds can be proved: {game.reason} (docs/theory, "
                        f"section 1.3); leave {name} out of {section}"
                    )
                    problems.append(InputError(source, f"{section}.games[{i}]", name, allowed))


def _check_folders(source: str, content: Mapping[str, Any], sound: set[str], problems: list[InputError]) -> None:
    """Note what results and figures may not be written into, alone and together."""
    folders = [key for key in ("results", "figures") if key in content and key in sound]
    for key in folders:
        with _noted(problems):
            _check_folder(source, key, content[key])
    if len(folders) == 2:
        results, figures = (Path(REPOSITORY, content[key]).resolve() for key in folders)
        mixed = any(figures.is_relative_to(results / name) for name in WRITTEN)
        if figures == results or results.is_relative_to(figures) or mixed:
            allowed = f"a folder of its own: not the results, not around them, not in their {', '.join(WRITTEN)}"
            problems.append(InputError(source, "figures", content["figures"], allowed))


def _check_folder(source: str, field: str, path: str) -> None:
    """Refuse a path that is not a folder, cannot be written, or holds files that must not be overwritten."""
    folder = Path(REPOSITORY, path).resolve()
    own = "a folder of its own: not the repository, not one that contains it, not one of its sources"
    if REPOSITORY.is_relative_to(folder) or any(folder.is_relative_to(REPOSITORY / name) for name in SOURCES):
        raise InputError(source, field, path, own)
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except OSError as error:
        raise InputError(source, field, path, f"a folder ({error.strerror})") from None
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(source, field, path, f"a folder that can be written, which {there} is not")
