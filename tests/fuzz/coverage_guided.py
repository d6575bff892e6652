"""Coverage-guided fuzzing of configurations and of games' array files, by hand (make fuzz).

    python tests/fuzz/coverage_guided.py configuration|arrays SECONDS [libFuzzer's options]

Needs atheris, which the lock has for Linux on x86-64 with Python below 3.14. A finding ends the run with its traceback,
and is left in a file crash-... to be given again as the last argument.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if importlib.util.find_spec("atheris") is None:
    sys.exit("coverage-guided fuzzing is left out: atheris is locked for Linux on x86-64 with Python below 3.14 only")

import atheris

# the reading of input is watched, not the numerics behind it
with atheris.instrument_imports(
    include=["pma_mfg.games", "pma_mfg.storage", "pma_mfg.errors", "yaml"]
    + [f"pma_replication.{module}" for module in ("configuration", "settings", "validation", "yaml_files")]
):
    from tests.fuzz import targets

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
VALID = targets.valid_games()
#: One game and one experiment, for each experiment: short inputs are tried by the thousand.
CONFIGURATIONS = list(targets.small_configurations().values())
#: Words that mutation would hardly find.
WORDS = [
    "&a ",
    "*a",
    "<<: ",
    "!!python/object:os.system ",
    "!!binary ",
    "!!int ",
    "!!set ",
    ".nan",
    "-.inf",
    "1e400",
    "0x",
    "? ",
]
count = {"tried": 0, "accepted": 0}


def configuration(data: bytes) -> None:
    """Read a configuration of any bytes."""
    path = FOLDER / "mine.yaml"
    path.write_bytes(data)
    tell(targets.check_configuration(path))


def arrays(data: bytes) -> None:
    """Load a game from an archive of any bytes, or one that is whole, of members that are not."""
    path = FOLDER / "game.npz"
    if data[:1] != b"M":
        path.write_bytes(data)
    else:
        provider = atheris.FuzzedDataProvider(data[1:])
        members: dict[str, bytes] = {
            f"{name}.npy": targets.npy(array) for name, array in VALID[provider.PickValueInList(list(VALID))].items()
        }
        for _ in range(provider.ConsumeIntInRange(0, 3)):
            mutate(provider, members)
        path.write_bytes(targets.packed(dict(members)))
    tell(targets.check_game(path))


def mutate(provider: atheris.FuzzedDataProvider, members: dict[str, bytes]) -> None:
    """Change one member: remove it, or overwrite or insert some bytes, of its header or of its numbers."""
    name = provider.PickValueInList([*members, "metadata.npy", "layout.npy"])
    content = members.get(name, targets.npy(targets.np.array(json.dumps({"family": "custom", "parameters": {}}))))
    place, width = provider.ConsumeIntInRange(0, len(content)), provider.ConsumeIntInRange(0, 24)
    match provider.ConsumeIntInRange(0, 4):
        case 0:
            members.pop(name, None)
        case 1:
            members[name] = content[:place] + provider.ConsumeBytes(width) + content[place + width :]
        case 2:
            members[name] = content[:place] + provider.ConsumeBytes(width) + content[place:]
        case 3:
            number = provider.PickValueInList([float("nan"), float("inf"), 1e308, 5e-324, -1.0, 1e20, 0.0, 2.0])
            at = 8 * provider.ConsumeIntInRange(1, max(1, (len(content) - 128) // 8))
            members[name] = content[: 120 + at] + targets.np.float64(number).tobytes() + content[128 + at :]
        case 4:
            members[provider.ConsumeUnicodeNoSurrogates(12).replace("\0", "") + ".npy"] = content


def tell(message: str | None) -> None:
    """Count an input."""
    count["tried"] += 1
    count["accepted"] += message is None
    if count["tried"] % 1000 == 0:
        print(f"{count['tried']} inputs, {count['accepted']} accepted", flush=True)


def main() -> None:
    """Fuzz one of the two."""
    target, seconds, *options = sys.argv[1:]
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    seeds = CONFIGURATIONS
    if target == "arrays":
        seeds = [targets.packed({f"{name}.npy": array for name, array in game.items()}) for game in VALID.values()]
        seeds += [b"M" + bytes([i]) * 40 for i in range(64)]
    for i, content in enumerate(seeds):
        (corpus / str(i)).write_bytes(content)
    dictionary = FOLDER / "words"
    dictionary.write_text("".join(f'"{word}"\n' for word in WORDS))
    limits = [
        f"-dict={dictionary}",
        f"-max_total_time={seconds}",
        "-timeout=60",
        "-rss_limit_mb=3000",
        "-len_control=0",
        "-max_len=6000",
    ]
    atheris.Setup(
        [sys.argv[0], *limits, *options, str(corpus)], {"configuration": configuration, "arrays": arrays}[target]
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
