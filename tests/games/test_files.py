"""A game on disk is the same game, and a bad file is refused by file, array and place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import issparse
from tests.references import all_games, family_game, sparse_copy

from pma_mfg import cli, games
from pma_mfg.errors import InputError
from pma_mfg.games import Features
from pma_mfg.games.model import MeanFieldGame

GAMES = all_games()
HAND_MADE = {
    "discount": np.array(0.9),
    "base_transition": np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.0, 1.0]]]),
    "base_reward": np.array([[0.0, 1.0], [0.5, 0.25]]),
}
ONE_TERM = {
    "transition_terms": np.array([[[[0.1, -0.1], [-0.1, 0.1]], [[0.1, -0.1], [0.1, -0.1]]]]),
    "transition_weights": np.array([[1.0, 0.0]]),
    "transition_offsets": np.zeros(1),
    "transition_links": np.zeros(1, dtype=np.int64),
    "transition_parameters": np.zeros(1),
}


def tables(game):
    """Return every array of a game, by a name of its own."""
    found = {
        name: getattr(game, name) for name in ("base_transition", "base_reward", "transition_terms", "reward_terms")
    }
    for kind in ("transition", "reward"):
        features = getattr(game, f"{kind}_features")
        found |= {f"{kind} {name}": getattr(features, name) for name in Features.__dataclass_fields__}
    if game.planted is not None:
        found |= {"planted policy": game.planted.policy, "planted mean field": game.planted.mean_field}
    return found


@pytest.mark.parametrize("name", GAMES)
def test_a_saved_game_comes_back_bitwise(tmp_path, name):
    game = GAMES[name]
    games.save(game, tmp_path / "game.npz")
    loaded = games.load(tmp_path / "game.npz")
    assert isinstance(loaded, MeanFieldGame)
    original, returned = tables(game), tables(loaded)
    assert original.keys() == returned.keys()
    for key, array in original.items():
        assert returned[key].dtype == array.dtype, key
        assert returned[key].shape == array.shape, key
        assert returned[key].tobytes() == np.ascontiguousarray(array).tobytes(), key
    assert (loaded.discount, loaded.family, loaded.parameters) == (game.discount, game.family, game.parameters)
    assert (loaded.planted is None) == (game.planted is None)
    assert loaded.planted is None or loaded.planted.strength == game.planted.strength


@pytest.mark.parametrize("name", [*GAMES, "sparse crowd"])
def test_a_saved_sparse_game_comes_back_bitwise(tmp_path, name):
    if name == "sparse crowd":
        game = family_game("crowd_averse", n_states=30, n_successors=4)
    else:
        game = sparse_copy(GAMES[name])
    games.save(game, tmp_path / "game.npz")
    loaded = games.load(tmp_path / "game.npz")
    assert loaded.is_sparse
    original, returned = tables(game), tables(loaded)
    assert original.keys() == returned.keys()
    for key, table in original.items():
        assert type(returned[key]) is type(table), key
        for part in ("data", "indices", "indptr", "shape") if issparse(table) else ("real",):
            np.testing.assert_array_equal(getattr(returned[key], part), getattr(table, part), err_msg=key)
    assert (loaded.family, loaded.parameters) == (game.family, game.parameters)


def test_a_sparse_game_changed_under_its_old_hash_is_refused(tmp_path):
    path = tmp_path / "game.npz"
    games.save(family_game("crowd_averse", n_states=6, n_successors=2), path)
    with np.load(path) as stored:
        entries = {name: stored[name] for name in stored.files}
    entries["reward_terms_data"][3] += 1e-6
    np.savez(path, **entries)
    with pytest.raises(InputError, match=r"content_hash: .*changed or damaged"):
        games.load(path)


SPARSE_HAND_MADE = {
    "discount": np.array(0.9),
    "base_reward": HAND_MADE["base_reward"],
    "base_transition_data": np.array([0.5, 0.5, 1.0, 0.25, 0.75, 1.0]),
    "base_transition_indices": np.array([0, 1, 0, 0, 1, 1]),
    "base_transition_indptr": np.array([0, 2, 3, 5, 6]),
    "base_transition_shape": np.array([4, 2]),
}
BAD_SPARSE_FILES = {
    "negative probability": (
        {"base_transition_data": np.array([0.5, 0.5, 1.0, 1.25, -0.25, 1.0])},
        r"transition: P\(next=1\|state=1, action=0\).*got -0\.25, expected a probability >= 0",
    ),
    "row that does not sum to one": (
        {"base_transition_data": np.array([0.5, 0.5, 0.9, 0.25, 0.75, 1.0])},
        r"transition: sum of P\(\.\|state=0, action=1\).*got 0\.9, expected probabilities that sum to 1",
    ),
    "NaN": (
        {"base_transition_data": np.array([0.5, 0.5, 1.0, np.nan, 0.75, 1.0])},
        r"base_transition\[2, 0\]: got nan, expected a finite number",
    ),
    "another shape": ({"base_transition_shape": np.array([4, 3])}, r"base_transition: got shape \(4, 3\), expected"),
    "column outside": ({"base_transition_indices": np.array([0, 1, 0, 0, 2, 1])}, r"base_transition: .*ind"),
    "repeated column": ({"base_transition_indices": np.array([0, 0, 0, 0, 1, 1])}, r"base_transition: got unsorted or"),
    "broken rows": ({"base_transition_indptr": np.array([0, 2, 3, 5, 9])}, r"base_transition: .*"),
    "words": ({"base_transition_data": np.full(6, "high")}, r"base_transition_data: got shape \(6,\) of type <U4"),
    "fractional columns": ({"base_transition_indices": np.zeros(6)}, r"base_transition_indices: got .*of integers"),
    "dense terms": (ONE_TERM, r"transition_terms: got a dense array, expected a sparse matrix, as base_transition is"),
}


def test_a_sparse_game_saved_by_hand_is_read(tmp_path):
    np.savez(tmp_path / "hand.npz", **SPARSE_HAND_MADE)
    game = games.load(tmp_path / "hand.npz")
    np.testing.assert_array_equal(game.dense("test").base_transition, HAND_MADE["base_transition"])


@pytest.mark.parametrize(("changes", "message"), BAD_SPARSE_FILES.values(), ids=BAD_SPARSE_FILES)
def test_a_bad_sparse_file_is_refused_by_file_array_and_place(tmp_path, changes, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **(SPARSE_HAND_MADE | changes))
    with pytest.raises(InputError, match=rf"^{path}: {message}"):
        games.load(path)


@pytest.mark.parametrize("part", ["data", "indices", "shape"])
def test_a_missing_part_of_a_matrix_is_named(tmp_path, part):
    missing = f"base_transition_{part}"
    np.savez(tmp_path / "partial.npz", **{key: array for key, array in SPARSE_HAND_MADE.items() if key != missing})
    with pytest.raises(InputError, match=rf"partial\.npz: {missing}: got nothing, expected an array of this name"):
        games.load(tmp_path / "partial.npz")


def test_the_same_game_saved_twice_has_the_same_content_hash(tmp_path):
    stored = []
    for name in ("a.npz", "b.npz"):
        games.save(family_game("planted_smooth"), tmp_path / name)
        with np.load(tmp_path / name) as file:
            stored.append(json.loads(str(file["metadata"]))["content_hash"])
    assert stored[0] == stored[1]


def test_a_game_saved_by_hand_without_metadata_is_read(tmp_path):
    np.savez(tmp_path / "hand.npz", **HAND_MADE)
    game = games.load(tmp_path / "hand.npz")
    assert (game.family, game.parameters, game.planted, game.discount) == ("custom", {}, None, 0.9)
    np.testing.assert_array_equal(game.transition(np.array([0.3, 0.7])), HAND_MADE["base_transition"])
    np.testing.assert_array_equal(game.reward(np.array([0.3, 0.7])), HAND_MADE["base_reward"])


def test_a_game_saved_by_hand_with_terms_of_one_kind_is_read(tmp_path):
    arrays = HAND_MADE | ONE_TERM
    arrays["base_transition"] = np.full((2, 2, 2), 0.5)
    np.savez_compressed(tmp_path / "hand.npz", **arrays)
    game = games.load(tmp_path / "hand.npz")
    # one product and one sum
    np.testing.assert_allclose(game.transition(np.array([0.3, 0.7]))[0, 0], [0.53, 0.47], rtol=0, atol=1e-16)


def with_value(name, index, value):
    array = (HAND_MADE | ONE_TERM)[name].copy()
    array[index] = value
    return {name: array}


BAD_FILES = {
    "negative probability": (
        with_value("base_transition", (1, 0), [1.25, -0.25]),
        r"transition: P\(next=1\|state=1, action=0\).*got -0\.25, expected a probability >= 0",
    ),
    "row that does not sum to one": (
        with_value("base_transition", (0, 1), [0.9, 0.0]),
        r"transition: sum of P\(\.\|state=0, action=1\).*got 0\.9, expected probabilities that sum to 1",
    ),
    "NaN": (with_value("base_reward", (1, 0), np.nan), r"base_reward\[1, 0\]: got nan, expected a finite number"),
    "transition of another shape": (
        {"base_transition": np.full((2, 3, 2), 0.5)},
        r"base_transition: got shape \(2, 3, 2\), expected shape \(2, 2, 2\)",
    ),
    "flat reward": ({"base_reward": np.zeros(4)}, r"base_reward: got shape \(4,\), expected shape \(S, A\)"),
    "discount of one": ({"discount": np.array(1.0)}, r"discount: got 1\.0, expected a number in \[0, 1\)"),
    "negative discount": ({"discount": np.array(-0.1)}, r"discount: got -0\.1"),
    "NaN discount": ({"discount": np.array(np.nan)}, r"discount: got nan"),
    "list of discounts": ({"discount": np.zeros(2)}, r"discount: got .* expected one number in \[0, 1\)"),
    "discount in words": ({"discount": np.array("0.9")}, r"discount: got .* expected one number"),
    "words for rewards": ({"base_reward": np.full((2, 2), "high")}, r"base_reward: got values of type <U4"),
    "terms of another shape": (
        ONE_TERM | {"transition_terms": np.zeros((1, 2, 2))},
        r"transition_terms: got shape \(1, 2, 2\), expected shape \(1, 2, 2, 2\)",
    ),
    "links that are not integers": (
        ONE_TERM | {"transition_links": np.zeros(1)},
        r"transition_features\.links: .* integers from 0 to 8",
    ),
    "unknown link": (
        ONE_TERM | {"transition_links": np.array([-1])},
        r"transition_features\.links: got \[-1\], expected a list of integers from 0 to 8",
    ),
    "planted policy of another shape": (
        {
            "planted_policy": np.full((3, 2), 0.5),
            "planted_mean_field": np.full(2, 0.5),
            "planted_strength": np.array(1.0),
        },
        r"planted.*policy.*shape",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_game_file_is_refused_by_file_array_and_place(tmp_path, changes, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **(HAND_MADE | changes))
    with pytest.raises(InputError, match=rf"^{path}: {message}"):
        games.load(path)


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_missing_array_is_named(tmp_path, name):
    path = tmp_path / "partial.npz"
    np.savez(path, **{key: array for key, array in HAND_MADE.items() if key != name})
    with pytest.raises(InputError, match=rf"partial\.npz: {name}: got nothing, expected an array of this name"):
        games.load(path)


@pytest.mark.parametrize("name", ONE_TERM)
def test_terms_and_features_come_together_or_not_at_all(tmp_path, name):
    path = tmp_path / "partial.npz"
    np.savez(path, **HAND_MADE, **{key: array for key, array in ONE_TERM.items() if key != name})
    with pytest.raises(InputError, match=rf"partial\.npz: {name}: got nothing"):
        games.load(path)


def test_content_that_is_wrong_in_itself_is_named_before_the_broken_hash(tmp_path):
    path = tmp_path / "game.npz"
    games.save(family_game("affine"), path)
    with np.load(path) as stored:
        entries = {name: stored[name] for name in stored.files}
    entries["base_reward"][2, 1] = np.nan
    np.savez(path, **entries)
    with pytest.raises(InputError, match=r"base_reward\[2, 1\]: got nan"):
        games.load(path)


def test_a_game_changed_under_its_old_hash_is_refused(tmp_path):
    path = tmp_path / "game.npz"
    games.save(family_game("affine"), path)
    with np.load(path) as stored:
        entries = {name: stored[name] for name in stored.files}
    entries["base_reward"][2, 1] += 1e-6
    np.savez(path, **entries)
    with pytest.raises(InputError, match=r"content_hash: .*changed or damaged"):
        games.load(path)


def test_labels_and_layout_are_kept(tmp_path):
    game = replace(
        games.make("coordination", n_states=2, discount=0.9, attraction=1.0),
        state_labels=("left", "right"),
        action_labels=("go left", "go right"),
        layout=np.array([[0.0, 0.0], [1.0, 0.0]]),
    )
    games.save(game, tmp_path / "game.npz")
    loaded = games.load(tmp_path / "game.npz")
    assert (loaded.state_labels, loaded.action_labels) == (game.state_labels, game.action_labels)
    np.testing.assert_array_equal(loaded.layout, game.layout)


@pytest.mark.parametrize(
    "change", [{"state_labels": ("one",)}, {"action_labels": ("a", 2)}, {"layout": np.zeros((3, 2))}]
)
def test_labels_and_layouts_of_another_size_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        replace(games.make("coordination", n_states=2, discount=0.9, attraction=1.0), **change)


def test_validate_lists_all_problems_of_an_array_file(tmp_path, capsys):
    path = tmp_path / "bad.npz"
    rows = HAND_MADE["base_transition"].copy()
    rows[1, 0], rows[0, 1] = [1.25, -0.25], [0.9, 0.0]
    for changes, expected in (
        ({"base_transition": rows}, ["cannot be negative", "P(. | 0, 1) sums to 0.9"]),
        ({"discount": np.array(1.0), "base_reward": np.full((2, 2), np.nan)}, ["discount: got 1.0", "[0, 0]: got nan"]),
        ({"layout": np.zeros((3, 2)), "base_reward": np.full((2, 2), np.inf)}, ["layout: got shape", "got inf"]),
    ):
        np.savez(path, **(HAND_MADE | changes))
        assert cli.main(["validate", str(path)]) == 2
        said = capsys.readouterr().err
        assert "2 problems" in said
        assert all(words in said for words in expected)
    np.savez(path, base_reward=np.zeros((2, 2)))
    assert cli.main(["validate", str(path)]) == 2
    said = capsys.readouterr().err
    assert "discount: not in the file" in said
    assert "base_transition: not in the file" in said


def test_what_is_not_a_game_is_refused_with_the_order_of_the_arguments(tmp_path):
    with pytest.raises(InputError, match=r"games\.save: game: got a value of type str, expected .* save\(game, path\)"):
        games.save("game.npz", family_game("crowd_averse"))
