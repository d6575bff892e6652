"""Sphinx: notebooks that run in every build, can be downloaded, and tell no number that they have not printed.

MyST-NB runs them; this module says where its files go, and adds a line to every notebook's page.
"""

import json
import logging
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util import logging as sphinx_logging

log = sphinx_logging.getLogger(__name__)

#: A number that is no part of a name: 7, 0.25, 1,000, 100_000 or 1e-9.
NUMBER = re.compile(r"(?<![\w.])\d+(?:[,_]\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
#: What may be typed: sections of the theory, each with a word in brackets or none, and years.
TYPED = re.compile(
    r"docs/theory,\s+sections?\s+[\d.]+(?:(?:\s+\([^)]*\))?(?:,|\s+and|\s+to)\s+[\d.]+)*|\b(?:19|20)\d\d\b"
)
#: Whole numbers up to this may be typed: they count what the reader sees.
COUNTED = 10


def numbers(text: str) -> Iterator[tuple[str, Decimal]]:
    """Yield the numbers of a text, as written and as they are."""
    for found in NUMBER.finditer(text):
        yield found[0], Decimal(re.sub("[,_]", "", found[0]))


def unprinted(notebook: dict[str, Any]) -> list[str]:
    """Return the numbers in the text of a notebook that neither its code contains nor its output.

    Whole numbers up to `COUNTED` and what `TYPED` names are left out. Numbers are compared by value: 0.50 is 0.5.
    """
    told, known = [], set()
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            told += [(text, value) for text, value in numbers(TYPED.sub("", source))]
            continue
        known |= {value for _, value in numbers(source)}
        for output in cell.get("outputs", []):
            printed = output.get("text", output.get("data", {}).get("text/plain", ""))
            known |= {value for _, value in numbers("".join(printed))}
    counted = {Decimal(i) for i in range(COUNTED + 1)}
    return [text for text, value in told if value not in known | counted]


def prepare(app: Sphinx) -> None:
    """Keep what notebooks write out of the sources, and the user's own settings out of the notebooks."""
    folder = Path(app.doctreedir) / "notebooks"
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(folder))
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    # it warns that whoever is on this machine could listen
    (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 'ERROR'\n")
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")  # also where there is no home folder
    logging.getLogger("traitlets").setLevel(logging.WARNING)  # tells of each notebook that it runs


def add_download(app: Sphinx, tree: nodes.document) -> None:
    """Check the numbers of a notebook, and add a line under its title: where it is, as it ran, and how to run it."""
    run = Path(app.env.mystnb_config.output_folder) / f"{app.env.docname}.ipynb"
    title = next(tree.findall(nodes.title), None)
    if app.env.docname not in app.env.nb_metadata or not run.exists() or title is None:
        return
    for number in unprinted(json.loads(run.read_text(encoding="utf-8"))):
        log.warning("the notebook tells %s, and has not printed it", number, location=app.env.docname)
    link = download_reference("", reftarget=f"/{os.path.relpath(run, app.srcdir)}", refdoc=app.env.docname)
    link += nodes.literal("", run.name, classes=["xref", "download"])
    line = nodes.paragraph("", "To run it yourself: download ", classes=["download-line"])
    line += [link, nodes.Text(", then ")]
    line += [nodes.literal("", 'pip install ".[plot]" notebook'), nodes.Text(" in a clone and ")]
    line += [nodes.literal("", f"jupyter notebook {run.name}"), nodes.Text(".")]
    title.parent.insert(title.parent.index(title) + 1, line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions above: the second before Sphinx looks for downloads."""
    app.setup_extension("myst_nb")
    app.connect("builder-inited", prepare, priority=600)
    app.connect("doctree-read", add_download, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
