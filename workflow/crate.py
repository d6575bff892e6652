"""Pack a finished run as an RO-Crate: what it is, what went in, what came out, and what ran, in words of schema.org.

    python workflow/crate.py config/config.yaml

The crate is the folder `crate` in the results: a copy of verdicts, tables, games, figures, configuration, workflow and
lock, with ro-crate-metadata.json (RO-Crate 1.1, profile Workflow Run Crate 0.5). Exit code 2: the run is not finished.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pma_mfg import __version__
from pma_mfg.errors import InputError
from pma_replication import configuration
from pma_replication.runs import sources

ROOT = Path(__file__).resolve().parents[1]
#: What the metadata says that it follows.
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
#: Types of files that mimetypes does not know everywhere.
FORMATS = {
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".npz": "application/x-npz",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


def contents(config: str, settings: dict[str, Any]) -> dict[str, list[tuple[Path, str]]]:
    """Return what goes in, what comes out and what runs, each as files and their places in the crate."""
    results, figures = Path(settings["results"]), Path(settings["figures"])
    brought = [game for game in settings["games"].values() if "file" in game]
    own = [Path(path) for game in brought for path in (game["file"], *game.get("inputs", ()))]
    tables = [results / f"tables/{name}.parquet" for name in configuration.tables(settings)]
    pictures = [path for path in figures.iterdir() if path.suffix in (".png", ".svg", ".md")]
    rules = [path for path in (ROOT / "workflow").rglob("*") if path.suffix in (".smk", ".rst")]
    return {
        "object": [(Path(config), "config.yaml"), *((path, f"games_brought/{path.name}") for path in own)],
        "result": [
            (results / "claims.json", "claims.json"),
            *((path, f"tables/{path.name}") for path in sorted(tables)),
            *((path, f"figures/{path.name}") for path in sorted(pictures)),
            *((path, f"games/{path.name}") for path in sorted((results / "games").iterdir())),
            *((path, f"equilibria/{path.name}") for path in sorted((results / "equilibria").iterdir())),
        ],
        "code": [
            (ROOT / "workflow/Snakefile", "workflow/Snakefile"),
            *((path, path.relative_to(ROOT).as_posix()) for path in sorted(rules)),
            (ROOT / "requirements.lock", "requirements.lock"),
            (ROOT / "environment.yml", "environment.yml"),
            (ROOT / "LICENSE", "LICENSE"),
        ],
    }


def described(place: str, path: Path) -> dict[str, Any]:
    """Return what the metadata says of one file."""
    content = path.read_bytes()
    return {
        "@id": place,
        "@type": "File",
        "name": place,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "encodingFormat": FORMATS.get(path.suffix, "text/plain"),
    }


def metadata(files: dict[str, list[tuple[Path, str]]], name: str, commit: str, ended: datetime) -> dict[str, Any]:
    """Return ro-crate-metadata.json."""
    ids = {part: [{"@id": place} for _, place in pairs] for part, pairs in files.items()}
    entities = {place: described(place, path) for pairs in files.values() for path, place in pairs}
    entities["workflow/Snakefile"] |= {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Replication of policy mirror ascent in mean field games",
        "programmingLanguage": {"@id": "#snakemake"},
        "version": commit,
        "license": {"@id": "LICENSE"},
    }
    entities["requirements.lock"]["description"] = "Every package of the environment, pinned with its hashes."
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"A run of pma-mfg: {name}",
        "description": "Verdicts on the claims of Yardim, Cayci, Geist and He (ICML 2023), with the tables, figures, "
        "configuration, workflow and environment that they come from.",
        "datePublished": ended.isoformat(),
        "license": {"@id": "LICENSE"},
        "author": {"@id": "#developers"},
        "conformsTo": [{"@id": profile} for profile in PROFILES],
        "mainEntity": {"@id": "workflow/Snakefile"},
        "mentions": [{"@id": "#run"}],
        "hasPart": [part for parts in ids.values() for part in parts],
    }
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of the workflow with {name}",
        "description": f"make replicate CONFIG={name}, on {platform.system()} {platform.machine()}",
        "instrument": {"@id": "workflow/Snakefile"},
        "object": ids["object"],
        "result": ids["result"],
        "endTime": ended.isoformat(),
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        "agent": {"@id": "#developers"},
    }
    return {
        "@context": [
            "https://w3id.org/ro/crate/1.1/context",
            {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
        ],
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": [
                    {"@id": "https://w3id.org/ro/crate/1.1"},
                    {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
                ],
                "about": {"@id": "./"},
            },
            root,
            run,
            {"@id": "#developers", "@type": "Organization", "name": "The pma-mfg developers"},
            {
                "@id": "#snakemake",
                "@type": "ComputerLanguage",
                "name": "Snakemake",
                "identifier": "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
                "url": "https://snakemake.readthedocs.io",
                "version": version("snakemake"),
            },
            {"@id": "#pma-mfg", "@type": "SoftwareApplication", "name": "pma-mfg", "softwareVersion": __version__},
            *({"@id": profile, "@type": "CreativeWork", "name": profile, "version": "0.5"} for profile in PROFILES[:2]),
            {"@id": PROFILES[2], "@type": "CreativeWork", "name": "Workflow RO-Crate", "version": "1.0"},
            *entities.values(),
        ],
    }


def main(config: str) -> int:
    """Write the crate anew, and say where it is."""
    try:
        settings = configuration.finished(config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    files = contents(config, settings)
    crate = Path(settings["results"], "crate")
    shutil.rmtree(crate, ignore_errors=True)
    for path, place in (pair for pairs in files.values() for pair in pairs):
        target = crate / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    ended = datetime.fromtimestamp(Path(settings["results"], "claims.json").stat().st_mtime, UTC)
    text = json.dumps(metadata(files, config, sources.commit(ROOT), ended), indent=2)
    (crate / "ro-crate-metadata.json").write_text(text + "\n", encoding="utf-8")
    n_files = sum(map(len, files.values()))
    print(f"crate: {crate}/ ({n_files} files, {len(files['result'])} of them results)")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python workflow/crate.py CONFIG")
    sys.exit(main(sys.argv[1]))
