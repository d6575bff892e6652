"""Hostile inputs with a name each, by kind; docs/input.md is the table of them with the real messages."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz import targets

#: The game of the configurations below.
PARAMETERS = "{n_states: 2, n_actions: 2, discount: 0.5, seed: 1}"
GAME = f"{{family: crowd_averse, parameters: {PARAMETERS}, regularizer: entropy, strength: 1.0}}"
#: A game that is certified to contract.
CERTIFIED = (
    "{family: affine, parameters: {n_states: 3, n_actions: 2, discount: 0.5, seed: 1, K_mu: 0.1, K_s: 0.3, K_a: 0.2,"
    " L_mu: 0.01, L_s: 0.02, L_a: 0.05}, regularizer: entropy, strength: 1.0}"
)
SMALL = f"""seed: 1
results: results/x
figures: results/x/figures
games:
  a: {GAME}
"""


def changed(old: str, new: str) -> bytes:
    """Return the small configuration with another text in place of one that it has."""
    assert old in SMALL
    return SMALL.replace(old, new).encode()


LAUGHS = "seed: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"k{i}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
#: What is wrong with it -> the bytes of mine.yaml.
CONFIGURATIONS: dict[str, bytes] = {
    "empty": b"",
    "not a mapping": b"- 1\n- 2\n",
    "binary": bytes(range(128, 256)),
    "a control character": b"seed: \x07\n",
    "broken YAML": b"seed: [1\ngames: 3",
    "a tag that would make a Python object": b"seed: !!python/object/apply:os.system ['touch pwned']\n",
    "an impossible date": b"seed: 2026-13-45\n",
    "a number without digits": b"seed: !!int\n",
    "a key twice": SMALL.encode() + b"seed: 2\n",
    "a list that contains itself": b"seed: &a [*a]\n",
    "billion laughs": LAUGHS.encode(),
    "deep nesting": b"seed: " + b"[" * 5000,
    "a megabyte and more": b"# " + b"x" * 10**6,
    "a key that YAML takes for false": changed("  a:", "  no:"),
    "an unknown key": SMALL.encode() + b"sead: 2\n",
    "no seed": changed("seed: 1\n", ""),
    "text for a number": changed("seed: 1\nr", "seed: one\nr"),
    "an exponent that YAML does not know": changed("strength: 1.0", "strength: 1e-3"),
    "a number that YAML reads in base 8": changed("seed: 1\nr", "seed: 010\nr"),
    "a number that YAML reads in base 60": changed("strength: 1.0", "strength: 1:30"),
    "a number with a leading zero": changed("seed: 1\nr", "seed: 08\nr"),
    "a name that YAML takes for a truth value": SMALL.encode()
    + b"literature: {games: [on], n_starts: 1, step_size: 1.0}\n",
    "a whole number with a point": changed("seed: 1\nr", "seed: 1.0\nr"),
    "not a number": changed("strength: 1.0", "strength: .nan"),
    "infinity": changed("strength: 1.0", "strength: .inf"),
    "an overflow": changed("strength: 1.0", "strength: 1.0e+300"),
    "an integer of 6000 digits": changed("seed: 1\nr", "seed: 1" + "0" * 6000 + "\nr"),
    "a hexadecimal one of 6000": changed("seed: 1\nr", "seed: 0x1" + "0" * 6000 + "\nr"),
    "a game named like a path": changed("  a:", "  ../a:"),
    "a game named with a line break": changed("  a:", '  "a\\n":'),
    "a game named with a command": changed("  a:", '  "a; touch pwned":'),
    "games that differ in capital letters only": SMALL.encode() + f"  A: {GAME}\n".encode(),
    "results in no folder": changed("results: results/x\n", "results: ''\n"),
    "results in the repository": changed("results: results/x\n", "results: .\n"),
    "results around the repository": changed("results: results/x\n", "results: /\n"),
    "results in the sources": changed("results: results/x\n", "results: results/../src\n"),
    "figures in the sources": changed("figures: results/x/figures", "figures: tests/figures"),
    "figures in place of the results": changed("results: results/x\n", "results: results/x/figures\n"),
    "figures among the results": changed("results/x/figures", "results/x/tables/figures"),
    "results among the figures": changed("results/x/figures", "results"),
    "results that look like an option": changed("results: results/x\n", "results: --out\n"),
    "results in a home folder": changed("results: results/x\n", "results: ~/results\n"),
    "results with a wildcard": changed("results: results/x\n", "results: 'results/{game}'\n"),
    "a file of a game that looks like an option": changed(GAME, "{file: -x.npz, regularizer: entropy, strength: 1.0}"),
    "a file of a game that the run writes itself": changed(
        GAME, "{file: results/x/games/a.npz, regularizer: entropy, strength: 1.0}"
    ),
    "a file of a game that is missing": changed(GAME, "{file: own.npz, regularizer: entropy, strength: 1.0}"),
    "a family and a file": changed("family: crowd", "file: x.npz, family: crowd"),
    "an unknown family": changed("crowd_averse", "crowd"),
    "a billion states": changed("n_states: 2", "n_states: 1000000000"),
    "a negative seed": changed("seed: 1}", "seed: -1}"),
    "a discount of one": changed("discount: 0.5", "discount: 1"),
    "an experiment on a game that is not there": SMALL.encode()
    + b"literature: {games: [b], n_starts: 1, step_size: 1.0}\n",
    "a population too large for exact numbers": SMALL.encode() + b"nash: {games: [a], populations: [2, 10, 200000]}\n",
    "several problems": (
        b"seed: 010\nresults: results/x\nfigures: results/x\nsead: 1\ngames:\n"
        b"  crowds: {family: crowd_avers, parameters: {}, regularizer: entropie, strength: 0}\n"
        b"  b: {family: crowd_averse, parameters: {n_state: 2, discount: 1, n_actions: 2, seed: 1},"
        b" regularizer: entropy, strength: 1}\n"
        b"  c: {file: own.npz, regularizer: entropy, strength: 1}\n"
        b"literature: {games: [crowd, a], n_starts: 1, step_size: 1e-3}\n"
    ),
    "more samples of the theorem than can be counted": changed(GAME, CERTIFIED)
    + b"samples_prescribed: {games: {a: [1.e-9]}, n_agents: 9, epsilons: [0.1, 0.3], n_replicates: 2, step_size: 1}\n",
    "a game that the theorem does not cover": changed("strength: 1.0", "strength: 0.001")
    + b"samples_prescribed: {games: {a: [0.1]}, n_agents: 10, epsilons: [0.1, 0.3], n_replicates: 2, step_size: 1}\n",
}

ARRAYS: dict[str, Any] = {
    "discount": np.array(0.5),
    "base_transition": np.full((2, 2, 2), 0.5),
    "base_reward": np.array([[0.0, 1.0], [0.5, 0.25]]),
}


def archive(**changes: Any) -> bytes:
    """Return a small game as an archive with some arrays changed, added, or (None) left out."""
    members = ARRAYS | changes
    return targets.packed({f"{name}.npy": array for name, array in members.items() if array is not None})


def claimed(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """Return 64 bytes of numbers under a header that claims a shape."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        import os

        return os.mkdir, ("pwned",)


def damaged() -> bytes:
    """Return an archive with one byte of one array changed."""
    content = bytearray(archive())
    place = content.index(np.float64(0.25).tobytes())
    content[place + 7] ^= 1
    return bytes(content)


#: What is wrong with it -> the bytes of game.npz.
ARCHIVES: dict[str, bytes] = {
    "empty": b"",
    "no archive": b"a game\n",
    "cut short": archive()[:-30],
    "one bit changed": damaged(),
    "a pickled object": archive(base_reward=np.array([[Trap()]], dtype=object)),
    "an array left out": archive(base_reward=None),
    "an unknown array": archive(base_rewards=np.zeros(1)),
    "a member that is no array": targets.packed({"../../x.py": b"import os"}),
    "an array that is none": archive(discount=b"0.5"),
    "a huge shape over little data": archive(base_reward=claimed((10**12, 10**6))),
    "a negative shape": archive(base_reward=claimed((-2, -4))),
    "no dimension": archive(base_reward=np.array(1.0)),
    "no state": archive(base_reward=np.zeros((0, 2))),
    "shapes that do not fit": archive(base_reward=np.zeros((3, 2))),
    "texts": archive(base_reward=np.full((2, 2), "high")),
    "complex numbers": archive(base_reward=np.full((2, 2), 1j)),
    "booleans": archive(base_reward=np.ones((2, 2), dtype=bool)),
    "records": archive(base_reward=np.zeros((2, 2), dtype=[("x", "f8")])),
    "not a number": archive(base_reward=np.full((2, 2), np.nan)),
    "infinity": archive(base_reward=np.full((2, 2), np.inf)),
    "an overflow": archive(base_reward=np.full((2, 2), 1e300)),
    "a negative probability": archive(base_transition=np.array([[[1.5, -0.5]] * 2] * 2)),
    "rows that do not sum to one": archive(base_transition=np.full((2, 2, 2), 0.3)),
    "a discount of one": archive(discount=np.array(1.0)),
    "several discounts": archive(discount=np.array([0.5, 0.5])),
    "another compression": targets.packed({"discount.npy": np.array(0.5)}, zipfile.ZIP_BZIP2),
    "a version of the format to come": archive(base_reward=b"\x93NUMPY\x09\x00" + bytes(64)),
    "a family that is no text": archive(metadata=np.array('{"family": 5}')),
    "parameters that are no object": archive(metadata=np.array('{"parameters": [1]}')),
    "metadata that is no JSON": archive(metadata=np.array("{")),
    "labels that are no list": archive(metadata=np.array('{"state_labels": 5}')),
    "labels that a terminal obeys": archive(metadata=np.array('{"state_labels": ["\\u001b[2J", "b"]}')),
    "two actions of one name": archive(metadata=np.array('{"action_labels": ["go", "go"]}')),
    "a wrong hash": archive(metadata=np.array('{"content_hash": "0"}')),
}

BODY = """import numpy as np
discount = 0.5
n_states = 2
def transition(mean_field):
    return np.full((2, 2, 2), 0.5)
def reward(mean_field):
    return np.array([[0.0, 1.0], [0.5, 0.25]])
"""


def python(old: str, new: str) -> bytes:
    """Return a small game in Python with another text in place of one that it has."""
    assert old in BODY
    return BODY.replace(old, new).encode()


REWARD = "np.array([[0.0, 1.0], [0.5, 0.25]])"
#: What is wrong with it -> the bytes of game.py.
PROGRAMS: dict[str, bytes] = {
    "empty": b"",
    "a syntax error": b"def transition(:\n",
    "binary": bytes(range(128, 256)),
    "an exception when it is imported": b"discount = 0.5\nraise RuntimeError('on\\npurpose')\n",
    "it leaves": b"import sys\nsys.exit(0)\n",
    "a function left out": python("def reward", "def rewards"),
    "no discount": python("discount = 0.5", "discounts = 0.5"),
    "a discount of one": python("discount = 0.5", "discount = 1"),
    "a billion states": python("n_states = 2", "n_states = 10**9"),
    "labels that are numbers": python("n_states = 2", "state_labels = [1, 2]"),
    "labels of other states": python("n_states = 2", "n_states = 2\nstate_labels = ['a', 'b', 'c']"),
    "two states of one name": python("n_states = 2", "state_labels = ['a', 'a']"),
    "rewards of another number of actions": python(REWARD, "np.zeros((2, 3))"),
    "rows in single precision": python("0.5)\ndef", "0.5, np.float32) * np.float32(0.9999999)\ndef"),
    "no number of states": python("n_states = 2", "n_states = 0.5"),
    "a layout of other states": python("n_states = 2", "n_states = 2\nlayout = [[0, 0], [0, 1], [1, 1]]"),
    "a layout that is none": python("n_states = 2", "n_states = 2\nlayout = 'square'"),
    "a wrong shape": python("(2, 2, 2)", "(2, 2, 3)"),
    "a function that fails": python(REWARD, "1 / 0"),
    "a function that leaves": python(REWARD, "exit(3)"),
    "texts": python(REWARD, "np.full((2, 2), '0.5')"),
    "complex numbers": python(REWARD, "np.full((2, 2), 1j)"),
    "masked values": python(REWARD, "np.ma.masked_equal(np.eye(2), 1.0)"),
    "objects": python(REWARD, "np.full((2, 2), None)"),
    "not a number": python(REWARD, "np.full((2, 2), np.nan)"),
    "an overflow": python(REWARD, "np.full((2, 2), 1e300)"),
    "rows that do not sum to one": python("0.5)\ndef", "0.3)\ndef"),
    "it changes its argument": python("    return np.full", "    mean_field[0] = 1\n    return np.full"),
    "it draws": python(REWARD, "np.random.rand(2, 2)"),
}

#: Commands; game.npz and nash.npz are sound, mine.yaml is no finished run.
COMMANDS = (
    "pma-mfg generate nosuch --out x.npz",
    "pma-mfg generate crowd_averse n_states=1000000000 n_actions=2 discount=0.5 seed=0 --out x.npz",
    "pma-mfg generate crowd_averse n_states=2 n_actions=2 discount=nan seed=0 --out x.npz",
    "pma-mfg generate crowd_averse n_states=2 n_actions=2 discount=0.5 seed=-1 --out x.npz",
    "pma-mfg generate crowd_averse n_states=2 n_actions=2 discount=0.5 seed=1e30 --out x.npz",
    "pma-mfg generate crowd_averse n_states=2 n_actions=2 discount=0.5 seed=1 coupling=1e300 --out x.npz",
    "pma-mfg generate rock_paper_scissors --out .",
    "pma-mfg validate nosuch.npz",
    "pma-mfg validate nosuch",
    "pma-mfg solve mine.yaml --strength 1",
    "pma-mfg solve game.npz --strength 1 --out game.npz",
    "pma-replicate equilibria solve game.npz --strength 1 --out x --out-table ./x",
    "pma-mfg solve beach_bar --strength 1e-9",
    "pma-mfg solve game.npz --strength 1 --regularizer nosuch.py:Mine",
    "pma-replicate bounds measure game.npz",
    "pma-replicate populations bias game.npz game.npz --agents 10",
    "pma-replicate samples tuned game.npz nash.npz --agents 10 --epsilon 1e-40 --step-size 0.08",
    "pma-replicate samples tuned game.npz nash.npz --agents 10 --epsilon 0.2 --step-size 5",
    "pma-mfg learn game.npz nash.npz --agents 10 --budget 10",
    "pma-mfg nash-gap game.npz nash.npz --agents 1000000000",
    "pma-replicate phase measure game.npz --strengths 1 2 1e9 --step-sizes 1 1 1 --out x --out-strengths y",
    "pma-replicate comparison measure game.npz nash.npz --agents 10 --grid pma.step_size=nan",
    "pma-replicate claims --tables game.npz --out x.json",
    "pma-replicate findings mine.yaml --figures . --out x.md",
    "pma-replicate figure nash --tables . --out x",
    "pma-replicate figures mine.yaml",
    "pma-replicate report mine.yaml --rulegraph mine.yaml",
)
#: Commands whose arguments the parser refuses, with its usage in front.
OPTIONS = (
    "pma-replicate populations bias game.npz --agents 1",
    "pma-replicate populations bias game.npz --agents inf",
    "pma-replicate populations bias game.npz --agents 1e400",
    "pma-replicate populations bias game.npz --agents 10 --seed -1",
    "pma-mfg solve game.npz --strength nan",
    "pma-mfg solve game.npz --strength 1e300",
    "pma-mfg solve game.npz --strength 1 --regularizer tsallis",
)


def odd_files(folder: Path) -> dict[str, Path]:
    """Make what is no file of its kind under a name of its kind, and return it by what it is."""
    (folder / "folder.yaml").mkdir()
    (folder / "circle.yaml").symlink_to("circle.yaml")
    (folder / "nowhere.yaml").symlink_to("nowhere")
    (folder / "device.yaml").symlink_to("/dev/zero")
    names = {"a folder": "folder", "a link to itself": "circle", "a link to nothing": "nowhere", "a device": "device"}
    return {kind: Path(f"{name}.yaml") for kind, name in names.items()} | {"nothing": Path("absent.yaml")}


def bomb(size: int) -> bytes:
    """Return an archive of little size in which one array takes `size` bytes when it is unpacked."""
    header = targets.npy(np.zeros(0))[:-2]
    return targets.packed({"base_reward.npy": header + bytes(size)}, zipfile.ZIP_DEFLATED)
