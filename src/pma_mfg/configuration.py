"""The configuration of a replication, checked before any work starts.

The JSON schema (workflow/schemas/config.schema.json) knows the shape and ranges of every key; this module adds what a
schema cannot say: that names refer to games that exist, that a family accepts its parameters, that a file is sound.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from pma_mfg import games, regularizers, schedules
from pma_mfg.errors import Description, InputError, is_plain
from pma_mfg.games.model import MOST_LUMPED_STATES, MOST_PAIRS, n_lumped_states
from pma_mfg.storage import regular_file

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
        written out, contains itself, or a key twice; names the line where there is one.
    """
    source = str(path)
    file = regular_file(path, "a readable YAML file")
    if (size := file.stat().st_size) > LARGEST:
        raise InputError(source, "file", Description(f"{size} bytes"), f"a configuration of at most {LARGEST} bytes")
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _examine(source, node, {})
            return loader.construct_document(node)
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
        Names the file, the key, the value and what is allowed.
    """
    content = read(path)
    check(content, schema, str(path))
    configuration: dict[str, Any] = content
    return configuration


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
    """
    _check_plain(source, content)
    validator = _Validator(json.loads(Path(schema).read_text(encoding="utf-8")))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is not None:
        raise _schema_error(source, error)
    for key in ("results", "figures"):
        _check_folder(source, key, content[key], Path(schema).resolve().parents[2])
    spellings: dict[str, str] = {}
    for name in content["games"]:
        if (other := spellings.setdefault(name.lower(), name)) != name:
            raise InputError(source, "games", name, f"a name that differs from {other} in more than capital letters")
    functions, shapes, reasons = set(), {}, {}
    for name, game in content["games"].items():
        where = f"{source}: games.{name}"
        if "file" in game:
            _check_path(source, f"games.{name}.file", game["file"])
            for i, path in enumerate(inputs := game.get("inputs", [])):
                _check_path(source, f"games.{name}.inputs[{i}]", path)
                regular_file(path, f"a file that {game['file']} reads")
            made = games.load(game["file"], inputs)
        else:
            games.check_parameters(game["family"], game["parameters"], where)
            made = _make(game["family"], game["parameters"], where)
        shapes[name] = made.n_states, made.n_actions
        if isinstance(made, games.FunctionGame):
            functions.add(name)
            reasons[name] = made.reason
        elif name in content.get("prescribed", {"games": ()})["games"]:
            _check_prescribed(f"{source}: prescribed.games.{name}", content["prescribed"], name, game, made)
    sections = {section: content[section] for section in SECTIONS if section in content}
    if not content["games"] and "atlas" not in sections:
        raise InputError(source, "games", content["games"], "at least one game, or an atlas")
    _check_grids(sections.get("atlas", {"grids": {}})["grids"], f"{source}: atlas.grids")
    for section, settings in sections.items():
        for i, name in enumerate(settings.get("games", ())):
            if name not in content["games"]:
                raise InputError(source, f"{section}.games[{i}]", name, f"one of {', '.join(content['games'])}")
            if name in functions and section in DATA_SECTIONS:
                allowed = (
                    f"a game with features, from which bounds can be proved: {reasons[name]} (docs/theory.md, section "
                    f"1.3); leave {name} out of {section}"
                )
                raise InputError(source, f"{section}.games[{i}]", name, allowed)
    for key in ("strengths", "relative_step_sizes") if "phase" in sections else ():
        if (grid := sections["phase"][key])["low"] >= grid["high"]:
            raise InputError(source, f"phase.{key}", grid, "low below high")
    for key in ("n_updates", "exact_updates") if "ctd" in sections else ():
        if (updates := sections["ctd"][key]) != sorted(updates):
            raise InputError(source, f"ctd.{key}", updates, "increasing numbers")
    for i, name in enumerate(sections.get("comparison", {"games": ()})["games"]):
        if (regularizer := content["games"][name]["regularizer"]) != "entropy":
            raise InputError(source, f"comparison.games[{i}]", Description(f"{name}, {regularizer}"), "entropy")
    groups = sections.get("independent", {"populations": (), "population_replicates": ()})
    if len(groups["populations"]) != len(counts := groups["population_replicates"]):
        raise InputError(source, "independent.population_replicates", counts, "one number for each of the populations")
    _check_sizes(source, sections, shapes)
    return frozenset(functions)


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
        schedules.theorem_schedule(game, regularizer, step_size, min(settings["games"][name] + settings["epsilons"]))
    except InputError as refused:
        raise InputError(source, refused.field, refused.value, refused.allowed) from None


def _check_sizes(source: str, sections: Mapping[str, Any], shapes: Mapping[str, tuple[int, int]]) -> None:
    """Refuse what an experiment is too large for, as far as it can be told before the games are solved."""
    for section in sorted({"exact", "agreement", "nash"} & sections.keys()):
        for i, n_agents in enumerate(sections[section]["populations"]):
            for name in sections[section]["games"]:
                if (size := n_lumped_states(shapes[name][0], n_agents)) > MOST_LUMPED_STATES:
                    told = Description(
                        f"{n_agents}, with which {name} has {size:.12g} states of an agent and the others"
                    )
                    raise InputError(
                        source, f"{section}.populations[{i}]", told, f"at most {MOST_LUMPED_STATES} of them"
                    )
    for i, name in enumerate(sections.get("independent", {"games": ()})["games"]):
        if math.prod(shapes[name]) > MOST_PAIRS:
            told = Description("{}, {} states and {} actions".format(name, *shapes[name]))
            raise InputError(source, f"independent.games[{i}]", told, f"at most {MOST_PAIRS} pairs of both")
    tuned = {section: sections[section] for section in ("population_sweep", "independent") if section in sections}
    swept = sections.get("epsilon_sweep", {"games": {}})["games"]
    tuned |= {f"epsilon_sweep.games.{name}": settings for name, settings in swept.items()}
    for place, settings in tuned.items():
        constant, epsilon = settings["td_constant"], min(settings.get("epsilons") or [settings["epsilon"]])
        if (constant / epsilon) ** 2 > schedules.MAX_UPDATES:
            allowed = f"(td_constant / epsilon)^2 <= {schedules.MAX_UPDATES:.0e} updates"
            raise InputError(source, f"{place}.td_constant", Description(f"{constant} for epsilon {epsilon}"), allowed)


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


def _check_plain(source: str, content: Any) -> None:
    """Refuse what no key may hold: names that are no texts, numbers that are not finite, or are too large for a loop.

    Snakemake reads a configuration itself, so that the number of values, which aliases multiply, is checked here too.
    """
    waiting: list[tuple[str, Any]] = [("", content)]
    for n, (place, value) in enumerate(waiting):
        if n > MOST_VALUES:
            raise InputError(source, "file", Description("more values"), f"at most {MOST_VALUES}, aliases written out")
        if isinstance(value, dict):
            for key in value:
                if not is_plain(key):
                    allowed = "keys that are texts, not empty and printable (quote numbers and no, yes, on, off)"
                    raise InputError(source, place or "(top level)", key, allowed)
            waiting += [(f"{place}.{key}" if place else key, entry) for key, entry in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{place}[{i}]", entry) for i, entry in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(source, place, value, "a finite number")
        elif isinstance(value, float) and value and not 1.0 / LARGEST_NUMBER <= abs(value) <= LARGEST_NUMBER:
            allowed = f"0 or a number from {1.0 / LARGEST_NUMBER:g} to {LARGEST_NUMBER:g} in size, or its negative"
            raise InputError(source, place, value, allowed)
        elif isinstance(value, int) and abs(value) > games.LARGEST_INTEGER:
            raise InputError(source, place, value, f"an integer of at most {games.LARGEST_INTEGER} in size")


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


def _check_grids(grids: Mapping[str, Any], source: str) -> None:
    """Raise an `InputError` unless every family of the atlas accepts every one of its games."""
    for name, grid in grids.items():
        where = f"{source}.{name}"
        accepted = games.describe(grid["family"], where)["parameters"]
        for taken in {"seed", "strength"} & grid["parameters"].keys():
            raise InputError(where, taken, grid["parameters"][taken], "n_seeds and strengths in its place")
        # the largest coupling of a planted game depends on the draw
        drawn = grid["family"].startswith("planted") and "coupling" in grid["parameters"]
        for seed in range(grid["n_seeds"] if drawn else 1):
            for parameters in _members(grid, seed):
                if "strength" not in accepted:
                    del parameters["strength"]
                games.check_parameters(grid["family"], parameters, where)
                if drawn and "coupling" in parameters:
                    _make(grid["family"], parameters, where)


def _schema_error(source: str, error: jsonschema.exceptions.ValidationError) -> InputError:
    """Return the schema's complaint in the project's form."""
    place = error.json_path.removeprefix("$").removeprefix(".") or "(top level)"
    value: Any = error.instance
    limit: Any = error.validator_value
    allowed = error.message
    match error.validator:
        case "additionalProperties":
            rules: Any = error.schema
            known = sorted(rules["properties"])
            return InputError(source, place, sorted(set(value) - set(known)), f"only the keys {', '.join(known)}")
        case "required":
            missing = ", ".join(key for key in limit if key not in value)
            return InputError(source, place, Description(f"no key {missing}"), f"the keys {', '.join(limit)}")
        case "oneOf":
            return InputError(source, place, sorted(value), "either family and parameters, or file")
        case "type":
            allowed = f"a value of type {limit}"
            if limit in ("integer", "number") and isinstance(value, str) and _is_number(value):
                allowed += " (YAML takes 1e-3 for a text; it reads 0.001, 1.0e-3 and 1000)"
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
            allowed = f"one of {', '.join(limit)}"
        case "minItems":
            allowed = f"at least {limit} entries"
        case "uniqueItems":
            allowed = "entries that differ"
        case "pattern":
            allowed = "a name of at most 64 letters, digits, '-' and '_' that starts with a letter"
    return InputError(source, place, value, allowed)
