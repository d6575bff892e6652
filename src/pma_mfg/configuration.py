"""The configuration of a replication, checked before any work starts.

The JSON schema (workflow/schemas/config.schema.json) knows the shape and ranges of every key; this module adds what a
schema cannot say: that names refer to games that exist, that a family accepts its parameters, that a file is sound.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from pma_mfg import games
from pma_mfg.errors import Description, InputError

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


def read(path: str | Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    InputError
        If it cannot be read or is no YAML; names the line.
    """
    try:
        return yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise InputError(str(path), "file", Description(error.strerror), "a readable YAML file") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise InputError(str(path), f"line {line}", Description(error.problem), "valid YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(str(path), "file", Description(" ".join(str(error).split())), "valid YAML") from None


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
    """Return the parameters of every game of a grid with one seed, the strength among them, in alphabetical order."""
    axes = {**grid["parameters"], "strength": grid["strengths"], "seed": [seed]}
    names = sorted(axes)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*(axes[name] for name in names))]


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
    settings = read(path)
    if not isinstance(settings, dict) or not {"results", "figures", "games"} <= settings.keys():
        wanted = "a configuration, with results, figures and games"
        raise InputError(str(path), "file", Description("something else"), wanted)
    results = Path(settings["results"])
    files = [results / "claims.json", *(results / f"tables/{name}.parquet" for name in tables(settings))]
    if missing := [str(file.relative_to(results)) for file in files if not file.exists()]:
        told = Description(f"no {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""))
        raise InputError(str(results), "unfinished run", told, f"all of them; make replicate CONFIG={path} makes them")
    return settings


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
    validator = jsonschema.Draft202012Validator(json.loads(Path(schema).read_text()))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is not None:
        raise _schema_error(source, error)
    functions = set()
    for name, game in content["games"].items():
        where = f"{source}: games.{name}"
        if "file" in game:
            if isinstance(games.load(game["file"]), games.FunctionGame):
                functions.add(name)
        else:
            games.check_parameters(game["family"], game["parameters"], where)
            games.make(game["family"], **game["parameters"])
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
                    "a game with features, from which bounds can be proved: no sum of links was recognized in these "
                    f"Python functions (docs/theory.md, section 1.3); leave {name} out of {section}"
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
    return frozenset(functions)


def _check_grids(grids: Mapping[str, Any], source: str) -> None:
    """Raise an `InputError` unless every family of the atlas accepts every one of its games."""
    for name, grid in grids.items():
        where = f"{source}.{name}"
        accepted = games.describe(grid["family"], where)["parameters"]
        for taken in {"seed", "strength"} & grid["parameters"].keys():
            raise InputError(where, taken, grid["parameters"][taken], "n_seeds and strengths in its place")
        for parameters in _members(grid, 0):
            if "strength" not in accepted:
                del parameters["strength"]
            games.check_parameters(grid["family"], parameters, where)


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
            allowed = "a name of letters, digits, '-' and '_' that starts with a letter"
    return InputError(source, place, value, allowed)
