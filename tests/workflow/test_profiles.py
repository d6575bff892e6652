"""The cluster's profile knows every rule, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_every_rule_is_grouped_has_resources_of_its_own_or_runs_locally() -> None:
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    snakefile = (ROOT / "Snakefile").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:rule|use rule \w+ as) (\w+)", sources, re.MULTILINE))
    block = re.search(r"^localrules:\n((?:    \w+,\n)+)", snakefile, re.MULTILINE)
    assert block is not None
    places = [set(re.findall(r"\w+", block[1])), set(profile["groups"]), set(profile["set-resources"])]
    assert set.union(*places) == rules
    assert sum(map(len, places)) == len(rules)
    assert set(profile["groups"].values()) == set(profile["group-components"])
