"""Where a long run keeps its state, so that a killed job goes on instead of starting anew."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.storage import read_arrays, write_arrays

#: Seconds between two checkpoints of a run: a killed job loses less than a minute, and saving takes a negligible share
#: of the time.
CHECKPOINT_SECONDS = 20.0

#: Folder of both packages: a run is resumed only from a state that exactly this code has saved.
LIBRARY = Path(__file__).parents[2]


class Checkpoint:
    """Where a long run keeps its state, so that a killed job goes on instead of starting anew.

    The file stands beside the run's output under a hidden name, and belongs to one key: a run with other arguments, on
    another game or by another version of the library's code never goes on from it.

    Parameters
    ----------
    path : path-like
        The run's output.
    key : mapping of str to anything that JSON knows
        All that determines the run.
    """

    def __init__(self, path: str | Path, key: Mapping[str, Any]) -> None:
        path = Path(path)
        self.path = path.with_name(f".{path.name}.checkpoint.npz")
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode())
        for source in sorted(LIBRARY.rglob("*.py")):
            digest.update(source.read_bytes())
        self.key = digest.hexdigest()
        self._saved = time.monotonic()

    def load(self) -> dict[str, np.ndarray] | None:
        """Return the arrays last saved under this key, or None; a damaged file counts as none."""
        try:
            arrays, metadata = read_arrays(self.path)
        except InputError:
            return None
        return arrays if metadata.get("key") == self.key else None

    def save(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Write the arrays that `state` returns, unless less than `CHECKPOINT_SECONDS` have passed since the last."""
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            write_arrays(self.path, state(), {"key": self.key})
            self._saved = time.monotonic()

    def discard(self) -> None:
        """Remove the file, once the run's output is written."""
        self.path.unlink(missing_ok=True)
