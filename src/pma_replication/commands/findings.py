"""`pma-replicate findings`: what was found, in words."""

from __future__ import annotations

import argparse
from pathlib import Path

from pma_mfg.commands import arguments
from pma_replication.commands import reading


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    findings = commands.add(
        "findings",
        _findings,
        "write what was found in words, from the verdicts",
        group="results",
        examples=("claims.json --figures . --out findings.md",),
    )
    findings.add_argument("claims", help="JSON file of `claims`")
    findings.add_argument("--figures", required=True, help="folder of the figures and of verdicts.md, to link")
    findings.add_argument("--out", required=True, type=arguments.MARKDOWN, help="Markdown file to write")
    findings.add_argument(
        "--out-concordance", type=arguments.MARKDOWN, help="what the paper states beside what was tested, to write"
    )
    findings.add_argument(
        "--out-reviewer",
        type=arguments.MARKDOWN,
        help="how to compute each claim of the full replication alone, to write",
    )
    findings.add_argument(
        "--readme", type=arguments.MARKDOWN, help="README.md, whose part on what was found to write anew"
    )


def _findings(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_replication import findings

    records = storage.read_json(options.claims)
    with reading.written_by(options.claims, "the JSON file that `pma-replicate claims` writes"):
        pages = {options.out: findings.markdown(records, options.figures, Path(options.out).parent)}
        if options.out_concordance:
            folder = Path(options.out_concordance).parent
            pages[options.out_concordance] = findings.concordance(records, options.figures, folder)
        if options.out_reviewer:
            target, results = Path(options.out_reviewer), Path(options.claims).parent.as_posix()
            pages[options.out_reviewer] = findings.reviewer(records, options.figures, target.parent, results=results)
        if options.readme:
            pages[options.readme] = findings.readme(Path(options.readme).read_text(encoding="utf-8"), records)
    for path, text in pages.items():
        storage.write_text(path, text)
