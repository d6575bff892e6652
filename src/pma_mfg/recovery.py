"""Before a run: put right what crashes, other hands and clocks have done to the results of former runs.

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

#: The time of a file that is out of date: older than all that it was made from.
OUT_OF_DATE = 1.0


def recover(root: Path, folders: Iterable[Path], sources: Iterable[Path]) -> list[str]:
    """Make sure that Snakemake computes again whatever is not what it was, and nothing else.

    Temporary files of killed jobs are removed. So are outputs that do not match the hash of their own content, and
    outputs written since Snakemake recorded them, unless a job that has read them recorded the same content. Outputs
    made from something else than what is there now, or in the future, get a time before everything: Snakemake then
    compares what they were made from, and not times.

    Parameters
    ----------
    root : Path
        Where Snakemake runs, and paths in its records begin. No run may be going on.
    folders : iterable of Path
        What the run owns below `root`: its results and figures. Nothing else is removed.
    sources : iterable of Path
        What else the run reads. Times in the future are set to now: Snakemake would refuse every output as too old.

    Returns
    -------
    list of str
        A line for each file that was removed because of its content.
    """
    for partial in [path for folder in folders for path in folder.rglob(f"{storage.PARTIAL}*")]:
        partial.unlink()

    @functools.cache
    def digest(path: str) -> str:
        return f"sha256:{hashlib.sha256((root / path).read_bytes()).hexdigest()}"

    records = _records(root / ".snakemake/metadata")
    made_from = {output: record.get("input_checksums") or {} for output, record in records.items()}
    confirmed = {item for checksums in made_from.values() for item in checksums.items()}
    owned = {
        output: root / output
        for output in sorted(records.keys() - _records(root / ".snakemake/incomplete").keys())
        if (root / output).is_file() and any((root / output).is_relative_to(folder) for folder in folders)
    }
    removed = []
    for output, path in owned.items():
        problem = storage.damage(path)
        times = (records[output]["endtime"], OUT_OF_DATE)
        if problem is None and path.stat().st_mtime not in times and (output, digest(output)) not in confirmed:
            problem = f"{path}: written since it was computed"
        if problem:
            path.unlink()
            removed.append(problem)
    now = time.time()
    for output, path in owned.items():
        made_from_other = any(
            (root / name).is_file() and digest(name) != checksum for name, checksum in made_from[output].items()
        )
        if path.is_file() and (made_from_other or path.stat().st_mtime > now):
            os.utime(path, (OUT_OF_DATE, OUT_OF_DATE))
    for path in sources:
        if path.stat().st_mtime > now:
            os.utime(path, (now, now))
    return removed


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return Snakemake's records in a folder by the path that each is about, without those that were being written.

    Their names are the paths in base 64, and long ones are spread over folders whose names begin with @.
    """
    records = {}
    for file in folder.rglob("*"):
        if file.is_file():
            name = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
            try:
                record = json.loads(file.read_bytes() or "{}")
            except ValueError:
                record = {}  # Snakemake, too, takes it for none
            records[base64.urlsafe_b64decode(name).decode()] = record
    return {path: record for path, record in records.items() if record or folder.name == "incomplete"}
