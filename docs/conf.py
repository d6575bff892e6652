"""Sphinx: the documentation as HTML that needs no network, neither to be built nor to be read."""

import gc
import re
import sys
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry, PythonDomain
from sphinx.errors import ExtensionError
from sphinx.pycode.parser import Parser
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from pma_mfg import __version__
from pma_replication import experiments, sections

project = "pma-mfg"
author = "The pma-mfg developers"
version = release = __version__
extensions = ["notebook_pages", "experiment_pages", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pma-mfg"
html_static_path = ["_static"]
html_css_files = ["equations.css"]
html_show_copyright = False
html_use_index = html_domain_indices = False
html_math_renderer = "mathml"

# $...$ and $$...$$ as on GitHub, and its anchors of headings
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Notebooks run in every build, in a folder that is thrown away; an exception or a warning in one fails it.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = -1  # a machine under load is slow, and nothing is wrong
nb_execution_show_tb = True
nb_output_stderr = "error"
nb_merge_streams = True

autodoc_mock_imports = ["mfglib", "pyspiel", "torch"]  # of extras that are not locked
autodoc_typehints = "none"  # numpydoc names the types
autodoc_use_type_comments = False  # no function has one, and to look for them takes a twelfth of the build
autodoc_member_order = "bysource"
html_copy_source = False
html_show_search_summary = False  # it would fetch pages, which browsers refuse to a file
napoleon_google_docstring = False

# trees of some millions of nodes are made, and hardly any is thrown away: to look for garbage took a tenth of the build
gc.set_threshold(50_000, 10, 10)

# the lines of every definition, for pages of the source, which are not made: an eighth of the build
Parser.parse_definition = lambda parser: None  # type: ignore[method-assign]

log = logging.getLogger(__name__)
COMMAND = re.compile(r"\\[A-Za-z]*")
TAG = re.compile(r"\\tag\{(.*?)\}")
#: Pages in which all sections that are named are of docs/theory; in others only those after these words.
OF_THEORY = ("theory/", "glossary", "concordance", "experiments/", "findings", "reviewer", "verdicts")
#: What is left as it is: code, equations, and what links to somewhere already.
NOT_LINKED = nodes.literal | nodes.literal_block | nodes.reference | nodes.math | nodes.math_block
SECTIONS_ELSEWHERE = re.compile(rf"docs/theory,\s+{sections.NAMED.pattern}")


class Objects(PythonDomain):
    """The domain of Python, which seeks a word of a docstring's types, such as *array*, in no object's name."""

    def find_obj(self, *arguments: Any) -> list[tuple[str, ObjectEntry]]:
        """Return what an object's name may mean: nothing, unless some object's name ends so."""
        if not hasattr(self, "last_words"):  # all pages have been read before the first name is looked up
            self.last_words = {name.rpartition(".")[2] for name in self.objects}
        name = arguments[3].removesuffix("()")
        return super().find_obj(*arguments) if name.rpartition(".")[2] in self.last_words else []


def space(width: str) -> str:
    """Return the attributes of an operator with this space on both sides."""
    return f'lspace="{width}" rspace="{width}"'


def mathml(latex: str, display: str) -> str:
    r"""Return TeX as MathML, which browsers draw by themselves.

    Raises
    ------
    ValueError
        If a command is not understood, which the converter would print as it is.
    """
    latex = latex.replace(r"\arg", r"\mathrm{arg}").replace(r"\Big\l", r"\left\l").replace(r"\Big\r", r"\right\r")
    converted = convert(latex, display=display)
    if "\\" in converted:
        raise ValueError(f"unknown: {COMMAND.findall(converted)}")
    # a browser would stretch single bars, as if each began a fraction, and set names of functions apart like operators
    bars = rf"<mo stretchy='false' {space('0')}>\1</mo>"
    converted = re.sub(r"<mo>(&#x02016;|&#x0007C;|&#x0002E;)</mo>", bars, converted)
    return re.sub(r"<m[io]>([a-z]{2,})</m[io]>", rf"<mo {space('0.1em')}>\1</mo>", converted)


def visit(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write one equation; one that cannot be converted is a warning, and so ends the build."""
    latex = node.astext()
    block = isinstance(node, nodes.math_block)
    try:
        markup = mathml(TAG.sub("", latex).strip(), "block" if block else "inline")
    except Exception as error:  # whatever the converter stumbles over
        log.warning("equation %s: %r", latex, error, location=node)
        raise nodes.SkipNode from error
    if block:
        tags = "".join(f'<span class="tag">({escape(tag)})</span>' for tag in TAG.findall(latex))
        markup = f'<div class="equation">{markup}{tags}</div>'
    translator.body.append(markup)
    raise nodes.SkipNode


def escape_docstring(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Keep |x| and x_ as they are: in docstrings of mathematics they are no markup."""
    for i, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(?<=\w)_(?!\w)", r"\\_", part.replace("|", r"\|")) for part in parts[::2]]
        lines[i] = "``".join(parts)


def link_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Send links to a table in figures/, which are right on GitHub, to the page that holds it here."""
    source[0] = re.sub(r"\]\(((?:\.\./)*)\.\./figures/(\w+)\.md", r"](\1\2.md", source[0])


def list_experiments(app: Sphinx, name: str, source: list[str]) -> None:
    """Write the page of the experiments' modules: a new experiment is on it without a line of its own."""
    if name == "api/experiments":
        folder = Path(experiments.__file__).parent
        modules = [f"{path.parent.name}.{path.stem}" for path in sorted(folder.glob("*/*.py")) if path.stem[0] != "_"]
        for module in (f"{experiments.__name__}.{each}" for each in modules):
            source[0] += f"\n## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"


def link_to_sections(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Make links of the sections of docs/theory that are named in a page; one that does not exist is a warning."""
    where = {}
    for written in sorted(app.env.found_docs):
        if re.match(r"theory/\d", written):
            for heading in app.env.tocs[written].findall(nodes.reference):
                if number := re.match(r"\d+(\.\d+)?", heading.astext()):
                    where[number[0]] = app.builder.get_relative_uri(page, written) + heading["anchorname"]
    pattern = sections.NAMED if page.startswith(OF_THEORY) else SECTIONS_ELSEWHERE
    for text in list(tree.findall(nodes.Text)):
        if isinstance(text.parent, NOT_LINKED):
            continue
        parts: list[nodes.Node] = []
        end = 0
        for named in pattern.finditer(text):
            for number in re.finditer(r"\d+(\.\d+)*", named[0]):
                if number[0] not in where:
                    log.warning("docs/theory has no section %s", number[0], location=text.parent)
                    continue
                start = named.start() + number.start()
                link = nodes.reference("", number[0], refuri=where[number[0]], internal=True)
                parts += [nodes.Text(text[end:start]), link]
                end = named.start() + number.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def navigate_by_titles(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document) -> None:
    """Make the list of all pages, which stands beside each of them, from their titles alone.

    Sphinx would copy the entries of all functions on all pages for every page, to throw them away again: a third of the
    whole build.
    """
    if "toctree" not in context:
        return
    if not hasattr(app.env, "titles_alone"):
        app.env.titles_alone = {name: toc.deepcopy() for name, toc in app.env.tocs.items()}
        for toc in app.env.titles_alone.values():
            for entry in toc.children:
                if len(entry) > 1:  # what is below a title: lists of further pages stay
                    entry[1][:] = list(entry.findall(addnodes.toctree))
                    if not len(entry[1]):
                        entry.pop(1)
    make = context["toctree"]

    def of_titles(**options: Any) -> str:
        if not options.get("titles_only"):
            return str(make(**options))
        whole, app.env.tocs = app.env.tocs, app.env.titles_alone
        try:
            return str(make(**options))
        finally:
            app.env.tocs = whole

    context["toctree"] = of_titles


def check_offline(app: Sphinx, exception: Exception | None) -> None:
    """Refuse a page that would load anything from elsewhere; links that a reader may follow are fine."""
    loaded = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=[\"'](?:https?:)?//[^>]*>")
    for page in [] if exception else sorted(Path(app.outdir).rglob("*.html")):
        found = loaded.search(page.read_text(encoding="utf-8"))
        if found:
            raise ExtensionError(f"{page.name} is not readable offline: {found[0]}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions above."""
    app.add_domain(Objects, override=True)
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    app.connect("source-read", link_to_pages)
    app.connect("source-read", list_experiments)
    app.connect("autodoc-process-docstring", escape_docstring)
    app.connect("doctree-resolved", link_to_sections)
    app.connect("html-page-context", navigate_by_titles, priority=400)  # before the theme asks for the list
    app.connect("build-finished", check_offline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
