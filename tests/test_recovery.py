"""What is there is compared with Snakemake's records, whatever the times of the files say."""

import base64
import hashlib
import json
import os
import time

import pandas as pd
import pytest

from pma_mfg import storage
from pma_replication.runs import recovery
from pma_replication.runs import tables as parquet


@pytest.fixture
def run(tmp_path):
    """A finished run of three steps: own.txt -> results/a.parquet -> results/b.json -> results/page.md."""
    (tmp_path / "results").mkdir()
    (tmp_path / "own.txt").write_text("a game")
    parquet.write_table(tmp_path / "results/a.parquet", pd.DataFrame({"x": [1.0, 2.0]}))
    storage.write_json(tmp_path / "results/b.json", [3.0])
    storage.write_text(tmp_path / "results/page.md", "three")
    for made, source in (("a.parquet", "own.txt"), ("b.json", "results/a.parquet"), ("page.md", "results/b.json")):
        os.utime(tmp_path / "results" / made, (1e9, 1e9))  # long before what a test writes, however coarse the clock
        record(tmp_path, f"results/{made}", source)
    return tmp_path


def record(root, output, source):
    checksum = hashlib.sha256((root / source).read_bytes()).hexdigest()
    content = {"input_checksums": {source: f"sha256:{checksum}"}, "endtime": (root / output).stat().st_mtime}
    file = root / ".snakemake/metadata" / base64.urlsafe_b64encode(output.encode()).decode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def recovered(root):
    """What is marked as unfinished, what gets a time before everything, and the rest."""
    lines = recovery.recover(root, [root / "results"], [root / "own.txt"])
    marks = [path.name for path in (root / ".snakemake").glob("incomplete/*")]
    marked = {base64.urlsafe_b64decode(name).decode().removeprefix("results/") for name in marks}
    assert {line.split(": ")[0] for line in lines} <= {str(root / "results" / name) for name in marked}
    there = {path.name: path.stat().st_mtime for path in (root / "results").glob("[!.]*")}
    outdated = {name for name, changed in there.items() if changed == recovery.OUT_OF_DATE}
    return marked, outdated, there.keys() - outdated - marked


def test_an_undisturbed_run_stays_as_it_is(run):
    assert recovered(run) == (set(), set(), {"a.parquet", "b.json", "page.md"})


def test_what_killed_jobs_were_writing_is_removed(run):
    (run / "results/.partial.a.parquet.x.parquet").write_text("half of it")
    recovered(run)
    assert not list(run.rglob(".partial.*"))


@pytest.mark.parametrize("name", ["a.parquet", "b.json"])
def test_damage_is_found_whatever_the_time_says(run, name):
    path = run / "results" / name
    before = path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before, before))
    marked, _, _ = recovered(run)
    assert marked == {name}


def test_what_is_written_by_hand_is_found_though_its_hash_is_right(run):
    parquet.write_table(run / "results/a.parquet", pd.DataFrame({"x": [1.0, 2.5]}))
    (run / "results/page.md").write_text("four")
    assert recovered(run) == ({"a.parquet", "page.md"}, set(), {"b.json"})


def test_a_copy_without_times_is_trusted_where_another_step_has_read_the_same(run):
    for path in (run / "results").iterdir():
        os.utime(path)
    assert recovered(run) == ({"page.md"}, set(), {"a.parquet", "b.json"})


def test_a_source_that_changed_is_noticed_though_it_looks_older(run):
    (run / "own.txt").write_text("another game")
    os.utime(run / "own.txt", (5.0, 5.0))
    assert recovered(run) == (set(), {"a.parquet"}, {"b.json", "page.md"})
    assert recovered(run) == (set(), {"a.parquet"}, {"b.json", "page.md"})
    (run / "own.txt").write_text("a game")  # it was a mistake
    assert recovered(run) == (set(), {"a.parquet"}, {"b.json", "page.md"})  # of the same content: Snakemake looks


def test_a_step_made_again_before_a_kill_outdates_the_next_one_whatever_the_clock_said(run):
    parquet.write_table(run / "results/a.parquet", pd.DataFrame({"x": [7.0]}))
    os.utime(run / "results/a.parquet", (9.0, 9.0))
    record(run, "results/a.parquet", "own.txt")
    assert recovered(run) == (set(), {"b.json"}, {"a.parquet", "page.md"})


def test_unfinished_outputs_are_left_to_snakemake(run):
    (run / "results/page.md").write_text("half of")
    marker = record(run, "results/page.md", "results/b.json")
    record(run, "results/page.md", "own.txt")
    (run / ".snakemake/incomplete").mkdir()
    (run / ".snakemake/incomplete" / marker.name).write_text("")
    assert recovered(run) == ({"page.md"}, set(), {"a.parquet", "b.json"})


def test_a_record_that_was_being_written_is_none(run):
    record(run, "results/page.md", "results/b.json").write_text('{"input_checks')
    (run / "results/page.md").write_text("four")
    assert recovered(run) == (set(), set(), {"a.parquet", "b.json", "page.md"})


def test_what_others_put_into_the_folder_is_left_alone(run):
    pd.DataFrame({"x": [1.0]}).to_parquet(run / "results/mine.parquet")
    marked, _, _ = recovered(run)
    assert marked == set()


def test_what_is_from_the_future_is_older_than_what_the_next_run_writes(run):
    future = time.time() + 86400.0
    os.utime(run / "own.txt", (future, future))
    for made, source in (("results/a.parquet", "own.txt"), ("results/page.md", "results/b.json")):
        os.utime(run / made, (future, future))
        record(run, made, source)
    assert recovered(run) == (set(), {"a.parquet", "page.md"}, {"b.json"})
    assert (run / "own.txt").stat().st_mtime <= time.time()
    assert recovered(run) == (set(), {"a.parquet", "page.md"}, {"b.json"})


def test_long_names_are_put_together_again(run):
    name = "results/" + "/".join(["long" * 30] * 3) + ".md"
    (run / name).parent.mkdir(parents=True)
    (run / name).write_text("x")
    file = record(run, "results/page.md", "results/b.json")
    encoded = base64.urlsafe_b64encode(name.encode()).decode()
    folder = file.parent / f"@{encoded[:254]}"
    folder.mkdir()
    (folder / encoded[254:]).write_text(json.dumps({"endtime": 0.0, "input_checksums": {}}))
    assert recovery.recover(run, [run / "results"], []) == [f"{run / name}: written since it was computed"]
    assert (run / ".snakemake/incomplete" / folder.name / encoded[254:]).is_file()
