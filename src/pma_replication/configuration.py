"""The configuration of a replication, checked before any work starts.

The JSON schema (workflow/schemas/config.schema.json) knows the shape and ranges of every key; this module adds what a
schema cannot say: that names refer to games that exist, that a family accepts its parameters, that a file is sound.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from pma_mfg import games, regularizers
from pma_mfg.errors import Description, InputError, InputErrors, is_plain, nearest
from pma_mfg.games.model import MOST_LUMPED_STATES, MOST_PAIRS, n_lumped_states
from pma_mfg.learning import schedules
from pma_mfg.storage import regular_file
from pma_mfg.theory import prescription

#: The sections that are experiments on games -> their tables. Each may be left out, and nothing of it is run.
SECTIONS = {
    "operator_checks": ("ratios",),
    "convergence": ("iterates", "rates", "certified"),
    "phase": ("phase", "certified_strengths"),
    "dynamics": ("histories", "outcomes", "orbits"),
    "damping": ("damping", "attractors"),
    "basins": ("departures", "basins", "several"),
    "ctd": ("ctd", "ctd_floor", "moments"),
    "epsilon_sweep": ("epsilon",),
    "prescribed": ("schedules", "prescribed"),
    "population_sweep": ("population", "limits"),
    "bias": ("bias",),
    "exact": ("exact",),
    "agreement": ("agreement",),
    "nash": ("nash",),
    "independent": ("independent", "independent_epsilon"),
    "comparison": ("comparison", "tuning", "samples_to_accuracy"),
    "zoo": ("zoo", "zoo_equilibria", "zoo_states"),
    "atlas": ("atlas",),
}

#: Those that need bounds or features, which a game of Python functions has if they are recognized only.
DATA_SECTIONS = ("phase", "prescribed", "bias", "exact", "agreement", "nash", "comparison", "zoo")

#: Bytes of a configuration that are read; the longest that is shipped has 8 thousand.
LARGEST = 10**6

#: Values in a configuration, each counted as often as aliases repeat it.
MOST_VALUES = 10**5

#: Numbers beyond, and below its inverse, are refused, so that quotients and squares of the others are finite.
LARGEST_NUMBER = 1e20

#: Folders at the top of the repository that no result may be written into.
SOURCES = (".git", ".snakemake", ".venv", "benchmarks", "config", "docs", "profiles", "src", "tests", "workflow")

#: What a run writes into its results: neither figures nor a game's file may be there.
WRITTEN = ("benchmarks", "equilibria", "games", "logs", "points", "tables")


class _Loader(yaml.SafeLoader):
    """Plain YAML, no tag of which makes anything but numbers, texts, lists and mappings."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Return the value of a node, or say on which line it is that has none."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            value = (node.value or "an empty value") if isinstance(node, yaml.ScalarNode) else "this"
            problem = f"{value} cannot be read ({error})"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


def read(path: str | Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    InputError
        If it cannot be read, is no YAML, is longer than `LARGEST`, holds more than `MOST_VALUES` values, aliases
        written out, contains itself, a key twice, or a number that YAML reads otherwise than it looks; names the line
        where there is one.
    """
    content, problems = _read(path)
    _refuse(str(path), problems)
    return content


def _read(path: str | Path) -> tuple[Any, list[InputError]]:
    """Return what a YAML file holds, and what is wrong with its numbers."""
    source = str(path)
    file = regular_file(path, "a readable YAML file")
    if (size := file.stat().st_size) > LARGEST:
        raise InputError(source, "file", Description(f"{size} bytes"), f"a configuration of at most {LARGEST} bytes")
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None, []
            _examine(source, node, {})
            problems = list(_misread(source, node, "", set()))
            return loader.construct_document(node), problems
        finally:
            loader.dispose()
    except OSError as error:
        raise InputError(source, "file", Description(error.strerror), "a readable YAML file") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(source, f"line {line}", Description(error.problem), "valid YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(source, "file", Description(" ".join(str(error).split())), "valid YAML, in UTF-8") from None
    except RecursionError:
        raise InputError(source, "file", Description("lists or mappings nested too deeply"), "valid YAML") from None


def _misread(source: str, node: yaml.Node, place: str, seen: set[int]) -> Iterator[InputError]:
    """Yield the numbers that YAML takes for others than a reader does: 010 for 8, and 1:30 for 90."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, part in enumerate(node.value):
            yield from _misread(source, part, f"{place}[{i}]", seen)
    elif isinstance(node, yaml.MappingNode):
        for key, part in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "(a key)"
            yield from _misread(source, part, f"{place}.{name}" if place else name, seen)
    elif isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        text, where = node.value, place or "(top level)"
        if re.fullmatch(r"[-+]?0[0-7_]+", text):
            meant = text.strip("+-").lstrip("0_") or "0"
            allowed = f"no leading zero, which YAML takes for base 8 ({yaml.safe_load(text)}): write {meant}"
            yield InputError(source, where, Description(text), allowed)
        elif ":" in text:
            allowed = f"no colon, which YAML takes for base 60: write {yaml.safe_load(text)}, or quote a text"
            yield InputError(source, where, Description(text), allowed)


def _refuse(source: str, problems: Sequence[InputError]) -> None:
    """Raise what there is of problems, each once, as one error."""
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


def _examine(source: str, node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, aliases written out.

    Refuse too many of them, a node within itself, and a key twice, of which YAML's loader would keep the last.
    """
    line = f"line {node.start_mark.line + 1}"
    if known.get(id(node)) == 0:
        raise InputError(source, line, Description("a value that contains itself"), "values that end")
    if id(node) not in known:
        known[id(node)] = 0
        below: list[yaml.Node] = [*node.value] if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    place = f"line {key.start_mark.line + 1}"
                    raise InputError(source, place, Description(f"the key {key.value} again"), "each key once")
                seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
            below = [part for entry in node.value for part in entry]
        known[id(node)] = 1 + sum(_examine(source, part, known) for part in below)
    if known[id(node)] > MOST_VALUES:
        allowed = f"at most {MOST_VALUES} values, aliases written out"
        raise InputError(source, line, Description(f"{known[id(node)]:.1e} of them"), allowed)
    return known[id(node)]


def load(path: str | Path, schema: str | Path) -> dict[str, Any]:
    """Read a YAML configuration and check it.

    Parameters
    ----------
    path : path-like
    schema : path-like
        The JSON schema.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        Names the file, the key, the value and what is allowed, of all that is wrong at once.
    """
    content, problems = _read(path)
    _, found = _checked(content, schema, str(path))
    _refuse(str(path), [*problems, *found])
    configuration: dict[str, Any] = content
    return configuration


def described(settings: Mapping[str, Any], game: str, source: str, field: str = "games") -> Any:
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
        raise InputError(source, field, Description(f"no game {game}"), _one_of(game, settings))
    return settings[game]


def _one_of(name: Any, choices: Iterable[str]) -> str:
    """Return in words that one of some names is expected, and which is most like the one that was given."""
    names = list(choices)
    if not names:
        return "none: there are none"
    return f"one of {', '.join(names)}{nearest(name, names) if isinstance(name, str) else ''}"


def studied(settings: Mapping[str, Any]) -> list[str]:
    """Return the games that are in more than the zoo and the comparison, or in nothing.

    Their numbers are in assumptions.md, and their picture is in the figure `equilibria`; the zoo has its own.
    """
    games_of = {section: set(settings.get(section, {}).get("games", ())) for section in SECTIONS}
    zoo, _ = games_of.pop("zoo"), games_of.pop("comparison")
    return [game for game in settings["games"] if game not in zoo.difference(*games_of.values())]


def atlas_batches(settings: Mapping[str, Any]) -> list[list[str]]:
    """Return the games of the atlas as `pma-mfg atlas` takes them, in batches; none without an atlas.

    All games of a first seed come before those of a second: with more seeds all full batches stay as they are.

    Parameters
    ----------
    settings : mapping
        A configuration.

    Returns
    -------
    list of list of str
    """
    if not settings.get("atlas"):
        return []
    grids, size = settings["atlas"]["grids"], settings["atlas"]["batch_size"]
    described = [
        " ".join([name, grid["family"], *(f"{axis}={value}" for axis, value in member.items())])
        for seed in range(max(grid["n_seeds"] for grid in grids.values()))
        for name, grid in grids.items()
        if seed < grid["n_seeds"]
        for member in _members(grid, seed)
    ]
    return [described[i : i + size] for i in range(0, len(described), size)]


def _members(grid: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return the parameters of every game of a grid with one seed, the strength among them, in alphabetical order.

    One that is null is left out.
    """
    axes = {**grid["parameters"], "strength": grid["strengths"], "seed": [seed]}
    names = sorted(axes)
    members = (dict(zip(names, values, strict=True)) for values in itertools.product(*(axes[name] for name in names)))
    return [{name: value for name, value in member.items() if value is not None} for member in members]


def tables(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the tables that a configuration makes."""
    made = ["equilibria", "assumptions"] if studied(settings) else []
    return [*made, *(name for section, names in SECTIONS.items() if settings.get(section) for name in names)]


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


def check(content: Any, schema: str | Path, source: str) -> frozenset[str]:
    """Check a configuration against the schema and for sense, and return the games that stay Python functions.

    Parameters
    ----------
    content : object
        What the YAML file held.
    schema : path-like
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
    functions, problems = _checked(content, schema, source)
    _refuse(source, problems)
    return functions


def _checked(content: Any, schema: str | Path, source: str) -> tuple[frozenset[str], list[InputError]]:
    """Return the games that stay Python functions, and all problems; what depends on a problem is not looked at."""
    problems: list[InputError] = []
    wrong = _check_plain(source, content, problems)
    content = _with_plain_keys(content)
    validator = _Validator(json.loads(Path(schema).read_text(encoding="utf-8")))
    for error in sorted(validator.iter_errors(content), key=lambda error: str(error.json_path)):
        place = tuple(error.absolute_path)[:3]
        wrong.add((*place, error.instance) if "propertyNames" in error.schema_path else place)
        problems += _schema_errors(source, error)
    if not isinstance(content, dict):
        return frozenset(), problems
    repository = Path(schema).resolve().parents[2]
    folders = [key for key in ("results", "figures") if key in content and (key,) not in wrong]
    for key in folders:
        with _noted(problems):
            _check_folder(source, key, content[key], repository)
    if len(folders) == 2:
        with _noted(problems):
            results, figures = (Path(repository, content[key]).resolve() for key in folders)
            _check_apart(source, results, figures, content["figures"])
    described = content["games"] if isinstance(content.get("games"), dict) else {}
    made = _make_games(source, content, [name for name in described if _can_be_made(name, described, wrong)], problems)
    reasons = {name: game.reason for name, game in made.items() if isinstance(game, games.FunctionGame)}
    sections = {section: content[section] for section in SECTIONS if section in content}
    if content.get("games") == {} and "atlas" not in sections and not wrong:
        problems.append(InputError(source, "games", {}, "at least one game, or an atlas"))
    for section, settings in sections.items() if isinstance(content.get("games"), dict) else ():
        _check_names(source, section, settings, described, reasons, problems)
    keys, names = ({place[i] for place in wrong if len(place) > i} for i in (0, 1))
    sound = {section: settings for section, settings in sections.items() if section not in keys}
    _check_sections(source, sound, described, {name: made[name] for name in made if name not in names}, problems)
    return frozenset(reasons), problems


def _can_be_made(name: str, described: Mapping[str, Any], wrong: set[tuple[Any, ...]]) -> bool:
    """Return whether what a game is made from is in order, whatever else is not."""
    game = described[name]
    if not isinstance(game, dict) or wrong & {("games", name, key) for key in ("family", "parameters", "file")}:
        return False
    family = isinstance(game.get("family"), str) and isinstance(game.get("parameters"), dict)
    return family != isinstance(game.get("file"), str)


def _make_games(
    source: str, content: Mapping[str, Any], names: Sequence[str], problems: list[InputError]
) -> dict[str, games.Game]:
    """Return the games that can be made, and note what is wrong with the others."""
    made: dict[str, games.Game] = {}
    spellings: dict[str, str] = {}
    for name in names:
        game, where = content["games"][name], f"{source}: games.{name}"
        if (other := spellings.setdefault(name.lower(), name)) != name:
            allowed = f"a name that differs from {other} in more than capital letters"
            problems.append(InputError(source, "games", name, allowed))
        if "file" in game:
            with _noted(problems):
                _check_path(source, f"games.{name}.file", game["file"])
                _check_source(source, f"games.{name}.file", game["file"], content.get("results"))
                for i, path in enumerate(inputs := game.get("inputs", [])):
                    _check_path(source, f"games.{name}.inputs[{i}]", path)
                    regular_file(path, f"a file that {game['file']} reads")
                try:
                    made[name] = games.load(game["file"], inputs)
                except InputError as refused:
                    if refused.field != "file":
                        raise
                    field = f"games.{name}.file, {game['file']}"
                    raise InputError(source, field, refused.value, refused.allowed) from None
            continue
        before = len(problems)
        _check_parameters(where, game["family"], game["parameters"], problems)
        if len(problems) == before:
            with _noted(problems):
                made[name] = _make(game["family"], game["parameters"], where)
    return made


def _check_parameters(source: str, family: str, parameters: Mapping[str, Any], problems: list[InputError]) -> None:
    """Note every parameter that a family does not accept; `games.check_parameters` stops at the first."""
    try:
        accepted = games.describe(family, source)["parameters"]
    except InputError as refused:
        likely = "" if "did you mean" in refused.allowed else nearest(family, games.families())
        problems.append(InputError(source, refused.field, refused.value, refused.allowed + likely))
        return
    left = dict(parameters)
    while True:
        try:
            games.check_parameters(family, left, source)
        except InputError as refused:
            if refused.field in left:
                likely = "" if refused.field in accepted else nearest(refused.field, accepted)
                likely = "" if "did you mean" in refused.allowed else likely
                problems.append(InputError(source, refused.field, refused.value, refused.allowed + likely))
                del left[refused.field]
                continue
            if refused.field not in accepted:
                problems.append(refused)
        break
    for name, parameter in accepted.items():
        if parameter["required"] and name not in parameters:
            needed = f"a value ({parameter['allowed']}): {family} requires it"
            problems.append(InputError(source, name, Description("nothing"), needed))


def _check_names(
    source: str,
    section: str,
    settings: Any,
    described: Mapping[str, Any],
    reasons: Mapping[str, str],
    problems: list[InputError],
) -> None:
    """Note the games of a section that are not there, or lack what it needs; `reasons` says why games lack features."""
    names = settings.get("games", ()) if isinstance(settings, dict) else ()
    for i, name in enumerate(names if isinstance(names, list | dict) else ()):
        if isinstance(name, str) and name not in described:
            problems.append(InputError(source, f"{section}.games[{i}]", name, _one_of(name, described)))
        elif name in reasons and section in DATA_SECTIONS:
            allowed = (
                f"a game with features, from which bounds can be proved: {reasons[name]} (docs/theory.md, section "
                f"1.3); leave {name} out of {section}"
            )
            problems.append(InputError(source, f"{section}.games[{i}]", name, allowed))


def _check_sections(
    source: str,
    sections: Mapping[str, Any],
    described: Mapping[str, Any],
    made: Mapping[str, games.Game],
    problems: list[InputError],
) -> None:
    """Note what is wrong in sections that have the right shape."""
    if "atlas" in sections:
        _check_grids(sections["atlas"]["grids"], f"{source}: atlas.grids", problems)
    if "prescribed" in sections:
        for name in sections["prescribed"]["games"]:
            if isinstance(game := made.get(name), games.MeanFieldGame):
                with _noted(problems):
                    place = f"{source}: prescribed.games.{name}"
                    _check_prescribed(place, sections["prescribed"], name, described[name], game)
    for key in ("strengths", "relative_step_sizes") if "phase" in sections else ():
        if (grid := sections["phase"][key])["low"] >= grid["high"]:
            problems.append(InputError(source, f"phase.{key}", grid, "low below high"))
    for key in ("n_updates", "exact_updates") if "ctd" in sections else ():
        if (updates := sections["ctd"][key]) != sorted(updates):
            problems.append(InputError(source, f"ctd.{key}", updates, "increasing numbers"))
    for i, name in enumerate(sections.get("comparison", {"games": ()})["games"]):
        if name in made and (regularizer := described[name]["regularizer"]) != "entropy":
            told = Description(f"{name}, {regularizer}")
            problems.append(InputError(source, f"comparison.games[{i}]", told, "entropy"))
    groups = sections.get("independent", {"populations": (), "population_replicates": ()})
    if len(groups["populations"]) != len(counts := groups["population_replicates"]):
        allowed = "one number for each of the populations"
        problems.append(InputError(source, "independent.population_replicates", counts, allowed))
    _check_sizes(source, sections, {name: (game.n_states, game.n_actions) for name, game in made.items()}, problems)
    _check_visited(source, sections, made, problems)


def _make(family: str, parameters: Mapping[str, Any], source: str) -> games.MeanFieldGame:
    """Return the game of a family, or refuse what only its tables show."""
    try:
        return games.make(family, **parameters)
    except InputError as refused:
        raise InputError(source, refused.field, refused.value, refused.allowed) from None


def _check_prescribed(
    source: str, settings: Mapping[str, Any], name: str, described: Mapping[str, Any], game: games.MeanFieldGame
) -> None:
    """Refuse a game for which the theorem prescribes nothing."""
    regularizer = regularizers.make(described["regularizer"], described["strength"])
    step_size = settings["relative_step_size"] / regularizer.strength
    try:
        prescription.theorem_schedule(game, regularizer, step_size, min(settings["games"][name] + settings["epsilons"]))
    except InputError as refused:
        raise InputError(source, refused.field, refused.value, refused.allowed) from None


def _check_sizes(
    source: str, sections: Mapping[str, Any], shapes: Mapping[str, tuple[int, int]], problems: list[InputError]
) -> None:
    """Note what an experiment is too large for, as far as it can be told before the games are solved."""
    for section in sorted({"exact", "agreement", "nash"} & sections.keys()):
        for i, n_agents in enumerate(sections[section]["populations"]):
            sizes = {
                name: n_lumped_states(shapes[name][0], n_agents)
                for name in sections[section]["games"]
                if name in shapes
            }
            if large := [name for name, size in sizes.items() if size > MOST_LUMPED_STATES]:
                told = f"{n_agents}, with which {large[0]} has {sizes[large[0]]:.12g} states of an agent and the others"
                allowed = f"at most {MOST_LUMPED_STATES} of them"
                problems.append(InputError(source, f"{section}.populations[{i}]", Description(told), allowed))
    for i, name in enumerate(sections.get("independent", {"games": ()})["games"]):
        if math.prod(shapes.get(name, ())) > MOST_PAIRS:
            told = Description("{}, {} states and {} actions".format(name, *shapes[name]))
            allowed = f"at most {MOST_PAIRS} pairs of both"
            problems.append(InputError(source, f"independent.games[{i}]", told, allowed))
    tuned = {section: sections[section] for section in ("population_sweep", "independent") if section in sections}
    swept = sections.get("epsilon_sweep", {"games": {}})["games"]
    tuned |= {f"epsilon_sweep.games.{name}": settings for name, settings in swept.items()}
    for place, settings in tuned.items():
        constant, epsilon = settings["td_constant"], min(settings.get("epsilons") or [settings["epsilon"]])
        if (constant / epsilon) ** 2 > schedules.MAX_UPDATES:
            allowed = f"(td_constant / epsilon)^2 <= {schedules.MAX_UPDATES:.0e} updates"
            told = Description(f"{constant} for epsilon {epsilon}")
            problems.append(InputError(source, f"{place}.td_constant", told, allowed))


#: Hints at what YAML makes of a text.
_TRUTH = " (YAML takes yes, no, on and off for true and false: quote a name)"

_EXPONENT = " (YAML takes 1e-3 for a text; it reads 0.001, 1.0e-3 and 1000)"


def _check_visited(
    source: str, sections: Mapping[str, Any], made: Mapping[str, games.Game], problems: list[InputError]
) -> None:
    """Note games in which N agents leave states for good, where limits of learning for N agents are asked for.

    For policies that take every action; of others, and of larger populations, the jobs say so themselves.
    """
    for section in sorted({"exact", "agreement", "nash", "bias"} & sections.keys()):
        from pma_mfg import operators
        from pma_mfg.populations import finite_population  # which imports the compiler

        least = min(range(len(sections[section]["populations"])), key=sections[section]["populations"].__getitem__)
        n_agents = sections[section]["populations"][least]
        for name in sections[section]["games"]:
            game = made.get(name)
            if (
                not isinstance(game, games.MeanFieldGame)
                or n_lumped_states(game.n_states, n_agents) > MOST_LUMPED_STATES
            ):
                continue
            try:
                finite_population.check_visited(game, operators.uniform_policy(game), n_agents)
            except InputError as refused:
                where, shown = f"{section}.populations[{least}]", Description(f"{refused.value} of {name}")
                problems.append(InputError(source, where, shown, refused.allowed))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_integer(_: Any, value: Any) -> bool:
    """Return whether a value is written as an integer: 1000.0 would appear as such in commands and names of files."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def _check_plain(source: str, content: Any, problems: list[InputError]) -> set[tuple[Any, ...]]:
    """Note what no key may hold: names that are no texts, numbers that are not finite, or are too large for a loop.

    Snakemake reads a configuration itself, so that the number of values, which aliases multiply, is checked here too.

    Returns
    -------
    set of tuple
        The first three keys, as many as there are, of each place where something is wrong.
    """
    wrong: set[tuple[Any, ...]] = set()
    waiting: list[tuple[str, tuple[Any, ...], Any]] = [("", (), content)]
    for n, (place, start, value) in enumerate(waiting):
        if n > MOST_VALUES:
            raise InputError(source, "file", Description("more values"), f"at most {MOST_VALUES}, aliases written out")
        odd: Any = value
        allowed = ""
        if isinstance(value, dict):
            if strange := [key for key in value if not is_plain(key)]:
                odd = strange[0]
                allowed = "keys that are texts, not empty and printable (quote numbers and no, yes, on, off)"
            plain = [(key, entry) for key, entry in value.items() if is_plain(key)]
            waiting += [(f"{place}.{key}" if place else key, (*start, key)[:3], entry) for key, entry in plain]
        elif isinstance(value, list):
            waiting += [(f"{place}[{i}]", (*start, i)[:3], entry) for i, entry in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            allowed = "a finite number"
        elif isinstance(value, float) and value and not 1.0 / LARGEST_NUMBER <= abs(value) <= LARGEST_NUMBER:
            allowed = f"0 or a number from {1.0 / LARGEST_NUMBER:g} to {LARGEST_NUMBER:g} in size, or its negative"
        elif isinstance(value, int) and abs(value) > games.LARGEST_INTEGER:
            allowed = f"an integer of at most {games.LARGEST_INTEGER} in size"
        if allowed:
            problems.append(InputError(source, place or "(top level)", odd, allowed))
            wrong.add(start)
    return wrong


def _with_plain_keys(content: Any) -> Any:
    """Return a configuration without the keys that `_check_plain` refuses."""
    if isinstance(content, dict):
        return {key: _with_plain_keys(entry) for key, entry in content.items() if is_plain(key)}
    return [_with_plain_keys(entry) for entry in content] if isinstance(content, list) else content


def _check_path(source: str, field: str, path: str) -> None:
    """Refuse a path that the pipeline would take for something else: an option, a home folder, a pattern."""
    if not (
        path.isprintable() and path == path.strip() and path[:1] not in ("-", "~", "") and not set("{}") & set(path)
    ):
        allowed = (
            "a path of printable characters without { and }, that neither starts with - or ~ nor has space around it"
        )
        raise InputError(source, field, path, allowed)


def _check_folder(source: str, field: str, path: str, repository: Path) -> None:
    """Refuse a folder for results that is not one, cannot be written, or holds what is not to be overwritten."""
    _check_path(source, field, path)
    folder = Path(repository, path).resolve()
    own = "a folder of its own: not the repository, not one that contains it, not one of its sources"
    if repository.is_relative_to(folder) or any(folder.is_relative_to(repository / name) for name in SOURCES):
        raise InputError(source, field, path, own)
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except OSError as error:
        raise InputError(source, field, path, f"a folder ({error.strerror})") from None
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(source, field, path, f"a folder that can be written, which {there} is not")


def _check_apart(source: str, results: Path, figures: Path, given: str) -> None:
    """Refuse figures that a run would mix with its results."""
    mixed = any(figures.is_relative_to(results / name) for name in WRITTEN)
    if figures == results or results.is_relative_to(figures) or mixed:
        allowed = f"a folder of its own: not the results, not around them, not in their {', '.join(WRITTEN)}"
        raise InputError(source, "figures", given, allowed)


def _check_source(source: str, field: str, path: str, results: Any) -> None:
    """Refuse a game's file where the run writes its own: it would be written over, or made from itself."""
    if isinstance(results, str):
        file = Path(path).resolve()
        if any(file.is_relative_to(Path(results, name).resolve()) for name in WRITTEN):
            raise InputError(source, field, path, "a file that the run does not write itself, outside of its results")


def _check_grids(grids: Mapping[str, Any], source: str, problems: list[InputError]) -> None:
    """Note what the families of the atlas do not accept in their games."""
    for name, grid in grids.items():
        where = f"{source}.{name}"
        taken = sorted({"seed", "strength"} & grid["parameters"].keys())
        for key in taken:
            allowed = "n_seeds and strengths in its place"
            problems.append(InputError(where, key, grid["parameters"][key], allowed))
        found: list[InputError] = []
        family = grid["family"]
        # the largest coupling of a planted game depends on the draw
        drawn = family.startswith("planted") and "coupling" in grid["parameters"]
        for seed in range(0 if taken else grid["n_seeds"] if drawn else 1):
            for parameters in _members(grid, seed):
                if family in games.families() and "strength" not in games.describe(family)["parameters"]:
                    del parameters["strength"]
                before = len(found)
                _check_parameters(where, family, parameters, found)
                if drawn and len(found) == before:
                    with _noted(found):
                        _make(family, parameters, where)
        problems += {str(problem): problem for problem in found}.values()


def _schema_errors(source: str, error: jsonschema.exceptions.ValidationError) -> list[InputError]:
    """Return the schema's complaint in the project's form, one for each key that is unknown."""
    if error.validator != "additionalProperties":
        return [_schema_error(source, error)]
    rules: Any = error.schema
    value: Any = error.instance
    known, place = sorted(rules["properties"]), error.json_path.removeprefix("$").removeprefix(".") or "(top level)"
    unknown = sorted(set(value) - set(known))
    allowed = f"only the keys {', '.join(known)}"
    return [InputError(source, place, [key], allowed + nearest(key, known)) for key in unknown]


def _schema_error(source: str, error: jsonschema.exceptions.ValidationError) -> InputError:
    """Return the schema's complaint in the project's form."""
    place = error.json_path.removeprefix("$").removeprefix(".") or "(top level)"
    value: Any = error.instance
    limit: Any = error.validator_value
    allowed = error.message
    match error.validator:
        case "required":
            missing = ", ".join(key for key in limit if key not in value)
            return InputError(source, place, Description(f"no key {missing}"), f"the keys {', '.join(limit)}")
        case "oneOf":
            shown = sorted(value) if isinstance(value, dict) else value
            return InputError(source, place, shown, "either family and parameters, or file")
        case "type":
            allowed = f"a value of type {limit}"
            if limit == "string" and isinstance(value, bool):
                allowed += _TRUTH
            elif limit in ("integer", "number") and isinstance(value, str) and _is_number(value):
                zero = re.match(r"[-+]?0\d", value)
                allowed += ", without a leading zero" if zero else _EXPONENT
            elif limit == "integer" and isinstance(value, float) and value.is_integer():
                allowed += ", written without a point or exponent"
        case "exclusiveMinimum":
            allowed = f"a number > {limit}"
        case "exclusiveMaximum":
            allowed = f"a number < {limit}"
        case "minimum":
            allowed = f"a number >= {limit}"
        case "maximum":
            allowed = f"a number <= {limit}"
        case "enum":
            allowed = _one_of(value, limit) + (_TRUTH if isinstance(value, bool) else "")
        case "minItems":
            allowed = f"at least {limit} entries"
        case "uniqueItems":
            allowed = "entries that differ"
        case "pattern":
            allowed = "a name of at most 64 letters, digits, '-' and '_' that starts with a letter"
    return InputError(source, place, value, allowed)
