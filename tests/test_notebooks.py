"""Numbers in the text of a notebook are those that it prints. `make docs` runs the notebooks themselves."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path for path in (ROOT / "docs/notebooks").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_pages", ROOT / "docs/notebook_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notebook(text: str, source: str, printed: str) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "text": [printed]}, {"output_type": "display_data", "data": {}}]
    code = {"cell_type": "code", "source": source, "outputs": outputs}
    return {"cells": [code, {"cell_type": "markdown", "source": text}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the slope is 0.52, with 1,000 agents and 25 steps", ["0.52", "25"]),
        ("the slope is 0.5, with 1000 agents and five steps", []),
        ("an error of 3e-7 or 2e-7", ["2e-7"]),
        ("four of 10 games, in `uint8`, docs/theory, sections 5 (contraction), 7 and 10.14, ICML 2023", []),
        ("section 10.14 of another book, 12 % of it", ["10.14", "12"]),
        ("-0.50 or 1.5", ["1.5"]),
    ],
)
def test_a_number_that_is_neither_set_nor_printed_is_found(pages: ModuleType, text: str, expected: list[str]) -> None:
    assert pages.unprinted(notebook(text, "n_agents = 1_000", "slope 0.50, error 3e-7")) == expected


def test_every_notebook_is_in_the_list_of_notebooks() -> None:
    page = (ROOT / "docs/notebooks/index.md").read_text()
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"]({path.name})" in page
    assert re.findall(r"^(\w+)$", page.split("```{toctree}")[1], re.MULTILINE) == re.findall(r"\((\w+)\.md\)", page)


def test_notebooks_say_what_they_ask_and_end_with_what_came_out() -> None:
    for path in NOTEBOOKS:
        text = path.read_text()
        first, *_ = text.split("```{code-cell}")
        assert "**The question.**" in first
        assert "**What you will see:**" in first
        assert re.findall(r"^## (.*)", text, re.MULTILINE)[-1] == "What came out"
