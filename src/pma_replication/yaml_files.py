"""Strict reading of YAML: plain values, each key once, no number that is read otherwise than it looks.

PyYAML reads `010` as 8 and `1:30` as 90, keeps the last of two equal keys, and multiplies aliases without end; all of
this is refused with the line or the key (docs/input.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pma_mfg.errors import Description, InputError
from pma_mfg.storage import regular_file

#: Largest size of a file in bytes; the longest configuration that is shipped has 8 thousand.
LARGEST = 10**6

#: Largest number of values in a file; each is counted as often as aliases repeat it.
MOST_VALUES = 10**5


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


def read(path: str | Path) -> tuple[Any, list[InputError]]:
    """Return what a YAML file holds, and what is wrong with its numbers.

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
