"""Run all verdicts of a configuration at other seeds, one after the other, and tell which of them move.

    python workflow/seeds.py config/config.yaml 101 102 103 [-- further options of snakemake]

Each seed has a configuration and a folder of its own beside the results, results/full_seed_101 for results/full, and no
figures; what is finished there is not run again, so that the same command resumes. The table is seeds.md among the
figures of the configuration. Exit codes are those of run.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from pma_mfg import storage
from pma_mfg.errors import InputError
from pma_replication import configuration, findings

ROOT = Path(__file__).resolve().parents[1]


def of_seed(config: str, seed: int) -> tuple[Path, Path]:
    """Write the configuration of one seed; return its file, and that of its verdicts."""
    content = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    results = Path(f"{content['results']}_seed_{seed}")
    content |= {"seed": seed, "results": str(results), "figures": str(results / "figures")}
    file = ROOT / f"{results}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    storage.write_text(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return file, results / "claims.json"


def main(config: str, seeds: list[int], *options: str) -> int:
    """Return the exit code."""
    try:
        settings = configuration.load(config)
    except InputError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2
    own = ROOT / settings["results"] / "claims.json"
    runs = {settings["seed"]: storage.read_json(own)} if own.exists() else {}
    for seed in seeds:
        file, claims = of_seed(config, seed)
        code = subprocess.call([sys.executable, str(ROOT / "workflow/run.py"), str(file), str(claims), *options])
        if code:
            return code
        runs[seed] = storage.read_json(ROOT / claims)
    target = ROOT / settings["figures"] / "seeds.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    storage.write_text(target, findings.across_seeds(runs))
    moved = findings.moved(runs)
    print(f"\n{len(moved)} verdicts differ between {len(runs)} seeds: {target}")
    return 0


if __name__ == "__main__":
    path, *others = sys.argv[1:]
    cut = others.index("--") if "--" in others else len(others)
    given, rest = others[:cut], others[cut + 1 :]
    if not given or not all(seed.isdecimal() for seed in given):
        got = " ".join(given) or "none"
        print(f"error: seeds: got {got}, expected integers, such as 101 102 103", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(path, [int(seed) for seed in given], *rest))
