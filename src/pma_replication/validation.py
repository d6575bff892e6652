"""What a model of settings says of a content, in the project's form: a line for each problem."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pma_mfg.errors import Description, InputError, is_plain, nearest

#: Where something is: the keys and numbers of entries that lead to it.
Place = tuple[Any, ...]

#: Type in an error of pydantic -> its name in a JSON schema, which editors show.
TYPES = {
    "int_type": "integer",
    "float_type": "number",
    "string_type": "string",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
}

#: Hints at what YAML makes of a text.
TRUTH = " (YAML takes yes, no, on and off for true and false: quote a name)"
EXPONENT = " (YAML takes 1e-3 for a text; it reads 0.001, 1.0e-3 and 1000)"


def problems(model: type[BaseModel], content: Any, source: str) -> tuple[list[InputError], set[Place]]:
    """Return everything that a model does not accept in a content, and the places of it.

    Parameters
    ----------
    model : type of BaseModel
    content : object
        What a YAML file held.
    source : str
        The file's name, for messages.
    """
    try:
        model.model_validate(content)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        missing: dict[Place, list[str]] = {}
        for error in errors:
            if error["type"] == "missing":
                missing.setdefault(error["loc"][:-1], []).append(str(error["loc"][-1]))
        found = {error["loc"]: _problem(model, error, source) for error in errors if error["type"] != "missing"}
        for place, keys in missing.items():
            wanted = [name for name, key in _model_at(model, place).model_fields.items() if key.is_required()]
            told, allowed = Description(f"no key {', '.join(keys)}"), f"the keys {', '.join(wanted)}"
            found[(*place, keys[0])] = InputError(source, _text(place), told, allowed)
        return sorted(found.values(), key=lambda problem: problem.field), set(found)
    return [], set()


def one_of(name: Any, choices: Iterable[str]) -> str:
    """Return in words that one of some names is expected, and which is most like the one that was given."""
    names = list(choices)
    if not names:
        return "none: there are none"
    return f"one of {', '.join(names)}{nearest(name, names) if isinstance(name, str) else ''}"


def _problem(model: type[BaseModel], error: Any, source: str) -> InputError:
    """Return one error of pydantic in the project's form."""
    place, value, limits = error["loc"], error["input"], error.get("ctx", {})
    if place[-1:] == ("[key]",):
        place = place[:-2]
        if not is_plain(value):
            return _bad_key(source, place, value)
    match error["type"]:
        case "invalid_key":
            return _bad_key(source, place[:-1], value)
        case "extra_forbidden":
            place, unknown = place[:-1], str(place[-1])
            if not is_plain(unknown):
                return _bad_key(source, place, unknown)
            known = sorted(_model_at(model, place).model_fields)
            value, allowed = [unknown], f"only the keys {', '.join(known)}{nearest(unknown, known)}"
        case "refused":
            value = Description(limits["told"]) if limits["told"] else value
            allowed = limits["allowed"]
        case "greater_than":
            allowed = f"a number > {limits['gt']:.16g}"
        case "greater_than_equal":
            allowed = f"a number >= {limits['ge']:.16g}"
        case "less_than":
            allowed = f"a number < {limits['lt']:.16g}"
        case "less_than_equal":
            allowed = f"a number <= {limits['le']:.16g}"
        case "too_short":
            allowed = f"at least {limits['min_length']} entries"
        case "string_too_short":
            allowed = "a text that is not empty"
        case "string_pattern_mismatch":
            allowed = "a name of at most 64 letters, digits, '-' and '_' that starts with a letter"
        case "literal_error":
            choices = re.findall("'([^']*)'", limits["expected"])
            allowed = one_of(value, choices) + (TRUTH if isinstance(value, bool) else "")
        case kind:
            allowed = _typed(TYPES[kind], value)
    return InputError(source, _text(place), value, allowed)


def _bad_key(source: str, place: Place, key: Any) -> InputError:
    allowed = "keys that are texts, not empty and printable (quote numbers and no, yes, on, off)"
    return InputError(source, _text(place), key, allowed)


def _typed(wanted: str, value: Any) -> str:
    """Return in words that a value of another type is expected, with a hint at what YAML made of it."""
    allowed = f"a value of type {wanted}"
    if wanted == "string" and isinstance(value, bool):
        allowed += TRUTH
    elif wanted in ("integer", "number") and isinstance(value, str) and _is_number(value):
        allowed += ", without a leading zero" if re.match(r"[-+]?0\d", value) else EXPONENT
    elif wanted == "integer" and isinstance(value, float) and value.is_integer():
        allowed += ", written without a point or exponent"
    return allowed


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _model_at(model: Any, place: Place) -> type[BaseModel]:
    """Return the model of the mapping at a place."""
    for step in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[step].annotation
        else:  # the values of a mapping or the entries of a list
            model = get_args(model)[-1]
        if isinstance(model, UnionType):  # of a key that may be left out, or None
            model = get_args(model)[0]
    found: type[BaseModel] = model
    return found


def _text(place: Place) -> str:
    """Return a place as a text, such as ``ctd.populations[1]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "(top level)"
