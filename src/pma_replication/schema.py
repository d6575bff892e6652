"""The JSON schema for editors and the tables of keys in config/README.md, written from the models of the settings.

python -m pma_replication.schema
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from pma_mfg.games import LARGEST_INTEGER
from pma_replication import configuration

SCHEMA = configuration.REPOSITORY / "workflow/schemas/config.schema.json"
PAGE = configuration.REPOSITORY / "config/README.md"
START, END = (f"<!-- keys: {which}, written by python -m pma_replication.schema -->\n" for which in ("start", "end"))


class _Generate(GenerateJsonSchema):
    """A JSON schema without titles made of the keys, and without the null of keys that may be left out."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made  # other names are wrong

    def generate(self, schema: Any, mode: Any = "validation") -> dict[str, Any]:
        made = {"$schema": self.schema_dialect, **super().generate(schema, mode)}
        for model in (made, *made["$defs"].values()):
            model.pop("title", None)
            model["description"] = re.sub(r"(?<!\n)\n(?!\n)", " ", model["description"])  # a paragraph is a line
        return made


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration."""
    return configuration.MODEL.model_json_schema(schema_generator=_Generate)


def tables() -> str:
    """Return a table of keys for the top of a configuration, for games, for each section, and for `claims`."""
    made = schema()
    keys, definitions = made["properties"], made["$defs"]
    parts = [_table(_rows({key: keys[key] for key in ("seed", "results", "figures")}, definitions))]
    models = {name: _model(keys[name]) for name in configuration.SECTIONS}
    for name, model in ({"games": "Game"} | models | {"claims": "Claims"}).items():
        described = definitions[model]
        needs = name in configuration.SECTIONS and configuration.SECTIONS[name].needs_features
        needed = " Its games need features, from which bounds are proved." if needs else ""
        table = _table(_rows(described["properties"], definitions))
        parts.append(f"## `{name}`\n\n{described['description']}{needed}\n\n{table}")
    return "\n".join(parts)


def page(text: str) -> str:
    """Return the page with the tables of today in place of those that it has."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{tables()}\n{END}{rest.partition(END)[2]}"


#: A key, what it means, its values and its unit.
Row = tuple[str, str, str, str]


def _rows(keys: Mapping[str, Any], definitions: Mapping[str, Any], before: str = "") -> list[Row]:
    """Return the rows of the keys of a model, and of the models below it; where several have the same, one for all."""
    rows: list[Row] = []
    for key, rules in keys.items():
        name = f"{before}{key}"
        rows.append((name, rules.get("description", ""), _values(rules, definitions), rules.get("unit", "")))
        for below, rule in ((f"{name}.", rules), (f"{name}.*.", _entries(rules))):
            if "$ref" in rule:
                rows += _rows(definitions[_model(rule)]["properties"], definitions, below)
    joined: dict[Row, str] = {}
    for name, meaning, values, unit in rows:
        *above, last = name.split(".")
        same = (".".join([*above[:-1], "*", last]) if above else last, meaning, values, unit)
        joined[same] = same[0] if same in joined else name
    return [(name, meaning, values, unit) for (_, meaning, values, unit), name in joined.items()]


def _model(rules: Mapping[str, Any]) -> str:
    """Return the name of the model that a rule refers to."""
    return str(rules["$ref"]).rpartition("/")[2]


def _entries(rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rule for the values of a mapping from names; an empty one if everything is allowed or it is none."""
    (named,) = rules.get("patternProperties", {"": rules.get("additionalProperties")}).values()
    return named if isinstance(named, dict) else {}


def _values(rules: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return in words which values a rule allows."""
    if "$ref" in rules:
        return "keys as below"
    if "enum" in rules:
        return " or ".join(f"`{choice}`" for choice in rules["enum"])
    least = rules.get("minItems", rules.get("minProperties", 0))
    several = f", at least {least}" if least > 1 else ""
    match rules.get("type"):
        case "array":
            return f"list: {_values(rules['items'], definitions)}{several}"
        case "object":
            return f"name → {_values(_entries(rules), definitions)}{several}"
        case "integer" | "number" as kind:
            return f"{kind} {_range(rules)}".strip()
        case "string":
            return str(rules.get("format", "text"))
    return "value"


def _range(rules: Mapping[str, Any]) -> str:
    """Return the range of a number in signs."""
    above, below = rules.get("exclusiveMinimum"), rules.get("exclusiveMaximum")
    least, most = rules.get("minimum"), rules.get("maximum")
    most = None if most == LARGEST_INTEGER else most  # which the page says once for all
    signs = [("> ", above), ("≥ ", least), ("< ", below), ("≤ ", most)]
    return " and ".join(f"{sign}{number:.16g}" for sign, number in signs if number is not None)


def _table(rows: list[Row]) -> str:
    lines = [f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows]
    return "\n".join(["| key | meaning | values | unit |", "|---|---|---|---|", *lines]) + "\n"


def main() -> None:
    """Write both files."""
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
