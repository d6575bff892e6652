"""Files are whole or absent, damage is noticed, and what is read is what was written."""

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pma_mfg import storage
from pma_mfg.errors import InputError
from pma_replication import cli
from pma_replication.runs import checkpoints, damage
from pma_replication.runs import tables as parquet

ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "scalar": np.array(0.1),
    "codes": np.array([3, 1], dtype=np.int64),
    "empty": np.zeros((0, 2)),
    "specials": np.array([np.nan, np.inf, -0.0, 5e-324]),
}
METADATA = {"family": "planted", "parameters": {"seed": 3, "discount": 0.9}}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "arrays.npz"
    storage.write_arrays(path, ARRAYS, METADATA)
    return path


def change_a_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(bytes(content))


def test_arrays_and_metadata_come_back_bitwise(written):
    arrays, metadata = storage.read_arrays(written)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()
    assert {name: metadata[name] for name in METADATA} == METADATA
    assert metadata["library_version"]


def test_the_same_content_gives_the_same_hash_in_any_order_of_names():
    assert storage.content_hash(ARRAYS, METADATA) == storage.content_hash(
        dict(reversed(ARRAYS.items())), dict(reversed(METADATA.items()))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"matrix": np.arange(6.0).reshape(3, 2)},
        {"matrix": np.nextafter(ARRAYS["matrix"], 9.0)},
        {"matrix": ARRAYS["matrix"].astype(np.int64)},
        {"another": np.zeros(1)},
        {"specials": np.array([np.nan, np.inf, 0.0, 5e-324])},
    ],
    ids=["shape", "last bit", "type", "name", "sign of zero"],
)
def test_a_change_of_one_array_changes_the_hash(change):
    assert storage.content_hash(ARRAYS | change, METADATA) != storage.content_hash(ARRAYS, METADATA)


def test_a_change_of_the_metadata_changes_the_hash():
    assert storage.content_hash(ARRAYS, METADATA | {"family": "x"}) != storage.content_hash(ARRAYS, METADATA)


def test_a_failing_write_leaves_the_old_file_and_no_temporary(written):
    before = written.read_bytes()
    message = "disk full"

    def fail():
        with storage.atomic_path(written) as temporary:
            temporary.write_text("half of it")
            raise OSError(message)

    with pytest.raises(OSError, match=message):
        fail()
    assert written.read_bytes() == before
    assert os.listdir(written.parent) == [written.name]


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda path: storage.write_arrays(path, ARRAYS, {"unserializable": object()}), TypeError),
        (lambda path: storage.write_json(path, {"value": float("nan")}), ValueError),
        (lambda path: parquet.write_table(path, pd.DataFrame({"mixed": [1, "a", object()]})), Exception),
    ],
    ids=["arrays", "json", "table"],
)
def test_content_that_cannot_be_written_leaves_an_empty_folder(tmp_path, write, error):
    with pytest.raises(error):
        write(tmp_path / "file.out")
    assert os.listdir(tmp_path) == []


def test_a_successful_write_leaves_no_temporary_and_makes_parent_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file.json"
    storage.write_json(path, {"z": 1, "a": [0.1]})
    assert sorted(os.listdir(path.parent)) == [".file.json.sha256", "file.json"]
    assert json.loads(path.read_text()) == {"z": 1, "a": [0.1]}
    assert path.read_text().endswith("\n")


def test_a_written_file_has_the_permissions_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    storage.write_json(tmp_path / "ours", {})
    assert (tmp_path / "ours").stat().st_mode == ordinary.stat().st_mode


def test_a_changed_array_under_the_old_hash_is_refused(written):
    with np.load(written) as stored:
        entries = {name: stored[name] for name in stored.files}
    entries["matrix"] = entries["matrix"] + 1e-16 + np.eye(2, 3)
    np.savez(written, **entries)
    with pytest.raises(InputError, match=r"arrays\.npz: content_hash"):
        storage.read_arrays(written)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(written, share):
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"arrays\.npz: file: .* expected a complete \.npz file"):
        storage.read_arrays(written)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_damaged_byte_is_noticed_or_harmless(tmp_path, save):
    path = tmp_path / "arrays.npz"
    body = METADATA | {"library_version": "x"}
    array = np.random.default_rng(0).uniform(size=50)
    entry = json.dumps({**body, "content_hash": storage.content_hash({"array": array}, body)})
    save(path, metadata=np.array(entry), array=array)
    intact = path.read_bytes()
    refused = 0
    for position in range(0, len(intact), 7):
        path.write_bytes(intact)
        change_a_byte(path, position)
        try:
            arrays, _ = storage.read_arrays(path)
        except InputError:
            refused += 1
        else:  # dates and such in the zip headers carry no content
            assert arrays["array"].tobytes() == array.tobytes()
    assert refused > 0.5 * len(range(0, len(intact), 7))


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive at all", b"PK\x03\x04 and then nothing", pickle.dumps({"matrix": [1.0]})],
    ids=["empty", "text", "zip magic only", "pickle"],
)
def test_a_file_that_is_not_an_npz_is_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.npz: file: "):
        storage.read_arrays(path)


def test_a_single_array_file_is_refused(tmp_path):
    path = tmp_path / "single.npy"
    np.save(path, np.eye(2))
    with pytest.raises(InputError, match=r"single\.npy: file: "):
        storage.read_arrays(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="file"):
        storage.read_arrays(tmp_path)


def test_a_pickled_object_is_refused_and_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "trap.npz"
    np.savez(path, matrix=np.array([Trap()], dtype=object))
    with pytest.raises(InputError, match=r"trap\.npz: file: "):
        storage.read_arrays(path)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_named(tmp_path):
    for read in (storage.read_arrays, parquet.read_table):
        with pytest.raises(InputError, match=r"absent: file: got nothing there"):
            read(tmp_path / "absent")


def test_arrays_saved_by_hand_are_read_with_empty_metadata(tmp_path):
    np.savez(tmp_path / "hand.npz", x=np.eye(2))
    arrays, metadata = storage.read_arrays(tmp_path / "hand.npz")
    assert metadata == {}
    assert (arrays["x"] == np.eye(2)).all()


@pytest.mark.parametrize("text", ["{not json", "[1, 2]", "3", "null"])
def test_metadata_that_is_not_a_json_object_is_refused(tmp_path, text):
    path = tmp_path / "hand.npz"
    np.savez(path, metadata=np.array(text), x=np.eye(2))
    with pytest.raises(InputError, match=r"hand\.npz: metadata: .* expected a JSON object"):
        storage.read_arrays(path)


def test_a_table_comes_back_bitwise(tmp_path):
    table = pd.DataFrame({"n_agents": [10, 100], "error": [0.1, 5e-324], "game": ["a", "b"], "ok": [True, False]})
    parquet.write_table(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(parquet.read_table(tmp_path / "table.parquet"), table, check_exact=True)


def test_a_truncated_table_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    parquet.write_table(path, pd.DataFrame({"x": np.arange(1000.0)}))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"table\.parquet: file: .* expected a complete Parquet table"):
        parquet.read_table(path)
    path.write_bytes(b"PAR1PAR1")
    with pytest.raises(InputError, match=r"table\.parquet: content_hash"):
        parquet.read_table(path)


def test_every_flipped_bit_of_a_table_is_noticed(tmp_path):
    path = tmp_path / "table.parquet"
    parquet.write_table(path, pd.DataFrame({"x": np.random.default_rng(0).uniform(size=20), "game": ["a", "b"] * 10}))
    intact = path.read_bytes()
    assert damage.damage(path) is None
    for position in range(len(intact)):
        content = bytearray(intact)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        assert "table.parquet: " in (damage.damage(path) or "")


def test_a_table_that_something_else_wrote_is_refused(tmp_path):
    pd.DataFrame({"x": [1.0]}).to_parquet(tmp_path / "table.parquet", index=False)
    with pytest.raises(InputError, match=r"table\.parquet: content_hash: got None, expected the hash of its content"):
        parquet.read_table(tmp_path / "table.parquet")


def test_the_same_table_is_written_as_the_same_bytes(tmp_path):
    table = pd.DataFrame({"x": [0.1, np.nan], "game": ["a", None]})
    for name in ("one", "two"):
        parquet.write_table(tmp_path / name, table)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("columns", "loads_pandas"),
    [
        (
            [{"x": [1.0, np.nan], "game": ["a", "b"]}, {"x": [np.inf], "game": ["a"]}, {"x": [-0.0], "game": [""]}],
            False,
        ),
        ([{"n": [10**15], "own": [True]}], False),
        ([{"x": [1, 2]}, {"x": [0.5]}], True),
        ([{"label": [None, None]}, {"label": ["a"]}], True),
    ],
)
def test_tables_are_joined_to_the_bytes_that_pandas_joins_them_to(tmp_path, columns, loads_pandas, monkeypatch):
    tables = [pd.DataFrame(table) for table in columns]
    names = [str(tmp_path / f"{i}.parquet") for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        parquet.write_table(name, table)
    parquet.write_table(tmp_path / "expected.parquet", pd.concat(tables, ignore_index=True))
    if not loads_pandas:  # it is not even asked
        monkeypatch.setattr(pd, "concat", None)
    assert cli.main(["collect", *names, "--out", str(tmp_path / "joined.parquet")]) == 0
    assert (tmp_path / "joined.parquet").read_bytes() == (tmp_path / "expected.parquet").read_bytes()


def test_every_flipped_bit_of_json_is_noticed(tmp_path):
    path = tmp_path / "claims.json"
    storage.write_json(path, [{"estimate": 0.125, "verdict": "confirmed"}])
    assert storage.read_json(path) == [{"estimate": 0.125, "verdict": "confirmed"}]
    intact = path.read_bytes()
    for position in range(len(intact)):
        content = bytearray(intact)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"claims\.json: content_hash: .* changed or damaged"):
            storage.read_json(path)


def test_the_hash_beside_json_is_one_that_sha256sum_understands(tmp_path):
    storage.write_json(tmp_path / "claims.json", {"a": 1})
    digest = hashlib.sha256((tmp_path / "claims.json").read_bytes()).hexdigest()
    assert (tmp_path / ".claims.json.sha256").read_text() == f"{digest}  claims.json\n"


def test_json_that_something_else_wrote_has_no_hash_to_compare(tmp_path):
    (tmp_path / "own.json").write_text("[1]")
    assert storage.read_json(tmp_path / "own.json") == [1]
    assert damage.damage(tmp_path / "own.json") is None
    assert damage.damage(tmp_path / "figure.png") is None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path, code, named):
    def fail():
        with storage.atomic_path(tmp_path / "table.parquet") as temporary:
            raise OSError(code, os.strerror(code), *[str(temporary)] * named)

    with pytest.raises(OSError, match=os.strerror(code)) as raised:
        fail()
    assert raised.value.filename == str(tmp_path / "table.parquet")
    assert raised.value.errno == code


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)


def test_a_run_goes_on_from_its_checkpoint(tmp_path, eager):
    checkpoints.Checkpoint(tmp_path / "table.parquet", {"seed": 1}).save(lambda: ARRAYS)
    found = checkpoints.Checkpoint(tmp_path / "table.parquet", {"seed": 1}).load()
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name], equal_nan=True) for name in ("matrix", "codes", "specials"))


def test_a_run_with_other_arguments_starts_anew(tmp_path, eager, monkeypatch):
    checkpoints.Checkpoint(tmp_path / "table.parquet", {"seed": 1}).save(lambda: ARRAYS)
    assert checkpoints.Checkpoint(tmp_path / "table.parquet", {"seed": 2}).load() is None
    (tmp_path / "edited.py").write_text("another version")
    monkeypatch.setattr(checkpoints, "LIBRARY", tmp_path)
    assert checkpoints.Checkpoint(tmp_path / "table.parquet", {"seed": 1}).load() is None


def test_a_damaged_checkpoint_counts_as_none(tmp_path, eager):
    checkpoint = checkpoints.Checkpoint(tmp_path / "table.parquet", {})
    checkpoint.save(lambda: ARRAYS)
    change_a_byte(checkpoint.path, len(checkpoint.path.read_bytes()) // 2)
    assert checkpoint.load() is None
    checkpoint.discard()
    checkpoint.discard()
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_written_now_and_then_only(tmp_path, monkeypatch):
    clock = iter([0.0, 1.0, 25.0, 25.0, 30.0])
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
    checkpoint = checkpoints.Checkpoint(tmp_path / "table.parquet", {})
    checkpoint.save(lambda: {"step": np.array(1)})
    assert checkpoint.load() is None
    checkpoint.save(lambda: {"step": np.array(2)})
    checkpoint.save(lambda: {"step": np.array(3)})
    assert checkpoint.load()["step"] == 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted on Linux")
def test_tables_are_written_and_read_without_threads_that_could_outlive_the_work(tmp_path):
    # Arrow's threads that still run when a process ends abort it now and then (apache/arrow issue 34314)
    program = """
import os, sys
import pandas as pd
from pma_replication.runs import tables
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
table = pd.DataFrame({"x": [0.5] * 5000, "y": ["a"] * 5000, "n": [1] * 5000})
for _ in range(5):
    tables.write_table(sys.argv[1], table)
    assert tables.read_table(sys.argv[1]).equals(table)
print(count() - before)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "t.parquet"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
