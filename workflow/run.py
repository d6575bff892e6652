"""Run the whole pipeline of one configuration: check it, resume where a former run stopped, say where the results are.

    python workflow/run.py config/config.yaml [further options of snakemake]

One run at a time: a lock that dies with this process guards the folder, so a lock that Snakemake itself has left behind
after a crash is stale, and is removed.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from pma_mfg import configuration
from pma_mfg.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".snakemake"


def main(path: str, *options: str) -> int:
    """Return the exit code: 0, 2 for a bad configuration or a second run, or Snakemake's own."""
    print(f"checking {path}", flush=True)
    try:
        settings = configuration.load(path, ROOT / "workflow/schemas/config.schema.json")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    STATE.mkdir(exist_ok=True)
    with (STATE / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("error: another run is going on in this folder; wait for it or stop it", file=sys.stderr)
            return 2
        command = [sys.executable, "-m", "snakemake", "--configfile", path, "--directory", str(ROOT)]
        if any((STATE / "locks").glob("*")):
            subprocess.run([*command, "--unlock", "--quiet"], cwd=ROOT, check=True)
        start = time.monotonic()
        code = subprocess.run([*command, *options], cwd=ROOT).returncode
    results = Path(settings["results"])
    if code:
        print(f"\nstopped; run the same command to resume. Logs: {results / 'logs'}", file=sys.stderr)
        return code
    verdicts = Counter(record["verdict"] for record in json.loads((ROOT / results / "claims.json").read_text()))
    print(f"\ndone in {time.monotonic() - start:.0f} s")
    counts = ", ".join(f"{n} {name}" for name, n in sorted(verdicts.items()))
    print(f"verdicts: {results / 'claims.json'} ({counts or 'none'})")
    print(f"figures:  {settings['figures']}/")
    print(f"tables:   {results / 'tables'}/    times of every step: {results / 'benchmarks'}/")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python workflow/run.py CONFIG [options of snakemake]")
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
