"""Before a run: mark outputs that no longer match Snakemake's records, so that they are computed again.

Snakemake reruns a job whose parameters, rule or set of inputs changed, or which it did not see finish. For everything
else it compares times of files, and so cannot see damage, and is misled by a clock that was set back. It keeps a record
of every output, however: the SHA-256 of what it was made from, and its time. Here the records are compared with what is
there. Nothing is trusted that differs, and Snakemake computes it again.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pma_mfg import storage
from pma_replication.runs import damage

#: Modification time that is given to a file that is out of date: earlier than that of all files it is made from.
OUT_OF_DATE = 1.0


def recover(root: Path, folders: Iterable[Path], sources: Iterable[Path]) -> list[str]:
    """Mark each output that no longer matches its record, so that Snakemake computes it again, and no other.

    Outputs that do not match the hash of their own content are marked as unfinished, as those of a killed job are; so
    are outputs written since Snakemake recorded them, unless a job that has read them recorded the same content.
    Temporary files of killed jobs are removed. Outputs made from something else than what is there now, or in the
    future, get a time before everything: Snakemake then compares what they were made from, and not times.

    Parameters
    ----------
    root : Path
        Where Snakemake runs, and paths in its records begin. No run may be going on.
    folders : iterable of Path
        What the run owns below `root`: its results and figures.
    sources : iterable of Path
        What else the run reads. Times in the future are set to now: Snakemake would refuse every output as too old.

    Returns
    -------
    list of str
        A line for each output that was marked because of its content.
    """
    for partial in [path for folder in folders for path in folder.rglob(f"{storage.PARTIAL}*")]:
        partial.unlink()

    @functools.cache
    def digest(path: str) -> str:
        return f"sha256:{hashlib.sha256((root / path).read_bytes()).hexdigest()}"

    metadata, incomplete = root / ".snakemake/metadata", root / ".snakemake/incomplete"
    files = _record_files(metadata)
    recorded = records(metadata)
    made_from = {output: record.get("input_checksums") or {} for output, record in recorded.items()}
    confirmed = {item for checksums in made_from.values() for item in checksums.items()}
    owned = {
        output: root / output
        for output in sorted(recorded.keys() - _record_files(incomplete).keys())
        if (root / output).is_file() and any((root / output).is_relative_to(folder) for folder in folders)
    }
    wrong = {}
    for output, path in owned.items():
        problem = damage.damage(path)
        times = (recorded[output]["endtime"], OUT_OF_DATE)
        if problem is None and path.stat().st_mtime not in times and (output, digest(output)) not in confirmed:
            problem = f"{path}: written since it was computed"
        if problem:
            wrong[output] = problem
            mark = incomplete / files[output].relative_to(metadata)
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text('{"external_jobid": null}', encoding="utf-8")
    now = time.time()
    for output, path in owned.items():
        sound = [name for name in made_from[output] if name not in wrong and (root / name).is_file()]
        if path.stat().st_mtime > now or any(digest(name) != made_from[output][name] for name in sound):
            os.utime(path, (OUT_OF_DATE, OUT_OF_DATE))
    for path in sources:
        if path.stat().st_mtime > now:
            os.utime(path, (now, now))
    return list(wrong.values())


def records(metadata: Path) -> dict[str, dict[str, Any]]:
    """Return what Snakemake recorded of each output, from its folder .snakemake/metadata."""
    return {output: record for output, file in _record_files(metadata).items() if (record := _read(file))}


def _record_files(folder: Path) -> dict[str, Path]:
    """Return Snakemake's files in a folder by the path of the output that each is about.

    Their names are the paths in base 64; long ones are spread over folders whose names begin with @.
    """
    found = {}
    for file in filter(Path.is_file, folder.rglob("*")):
        name = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
        found[base64.urlsafe_b64decode(name).decode()] = file
    return found


def _read(file: Path) -> dict[str, Any]:
    """Return a record; one that was being written in a crash is empty, as for Snakemake."""
    try:
        record: dict[str, Any] = json.loads(file.read_bytes())
    except ValueError:
        return {}
    return record
