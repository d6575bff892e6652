"""The cluster's profile speaks of rules only, and once of each."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_what_the_profile_groups_or_gives_resources_is_a_rule_and_no_local_one() -> None:
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    snakefile = (ROOT / "workflow/Snakefile").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:use rule \w+ as|rule) (\w+)\b", sources, re.MULTILINE))
    block = re.search(r"^localrules:\n((?:    \w+,\n)+)", snakefile, re.MULTILINE)
    assert block is not None
    places = [set(re.findall(r"\w+", block[1])), set(profile["groups"]), set(profile["set-resources"])]
    assert set.union(*places) <= rules  # of the others each job is one of Slurm, with the default resources
    assert sum(map(len, places)) == len(set.union(*places))
    assert set(profile["groups"].values()) == set(profile["group-components"])
