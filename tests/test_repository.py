"""What must hold of the repository itself; none of it needs TensorFlow, so it is quick."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "chapters").rglob("*.md"), *(ROOT / "data").rglob("*.md")])
BUILT = ROOT / "_build" / "html"
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp)/\w|[A-Z]:\\\\?Users")
IGNORED = re.compile(
    r"^\s*# ?(?:NBVAL_IGNORE_OUTPUT|NBVAL_SKIP|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE
)
TEXT = {".py", ".md", ".yml", ".toml", ".bib", ".cff", ".json"}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tree(source: str) -> ast.Module:
    """A cell's code; lines for IPython are left out."""
    return ast.parse(
        "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    )


def public_names() -> set[str]:
    names: set[str] = set()
    for module in (ROOT / "imtlib").rglob("*.py"):
        for node in ast.parse(module.read_text("utf8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                names.add(node.name)
    return names


def toc_files() -> set[str]:
    text = (ROOT / "_toc.yml").read_text("utf8")
    return set(re.findall(r"(?:file|root):\s*(\S+)", text))


def test_there_are_notebooks_and_they_are_in_the_contents() -> None:
    assert NOTEBOOKS, "chapters/ holds no notebook"
    wanted = {str(path.relative_to(ROOT).with_suffix("")) for path in NOTEBOOKS}
    assert wanted <= toc_files()


def test_every_page_in_the_contents_exists() -> None:
    missing = [
        name
        for name in toc_files()
        if not any((ROOT / name).with_suffix(s).exists() for s in (".ipynb", ".md"))
    ]
    assert missing == []


@every_notebook
def test_every_printed_table_is_read_as_myst(path: Path) -> None:
    """Otherwise the page shows its bars and dashes."""
    for cell in code_cells(path):
        if any("| --- |" in output.get("data", {}).get("text/markdown", "") for output in cell.outputs):
            assert cell.metadata.get("mystnb", {}).get("markdown_format") == "myst", cell.source


@every_notebook
def test_every_cell_was_executed_in_order_without_error(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make execute`"
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", f"prints to stderr: {cell.source}"
            assert "WARNING:" not in output.get("text", ""), f"prints a warning: {cell.source}"


@every_notebook
def test_outputs_hold_nothing_of_one_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert not MACHINE.search(path.read_text("utf8"))
    assert not any("execution" in cell.metadata for cell in notebook.cells)


@every_notebook
def test_it_shows_the_library_and_does_not_define_it_again(path: Path) -> None:
    trees = [tree(cell.source) for cell in code_cells(path)]
    nodes = [node for one in trees for node in ast.walk(one)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert any(name.split(".")[0] == "imtlib" for name in imported)
    defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert defined & public_names() == set(), "import these from imtlib"


@every_notebook
def test_four_fifths_of_the_cells_are_compared(path: Path) -> None:
    cells = code_cells(path)
    silent = [
        cell
        for cell in cells
        if not cell.outputs
        or IGNORED.search(cell.source)
        or {"nbval-ignore-output", "nbval-skip"} & set(cell.metadata.get("tags", []))
    ]
    assert len(silent) * 5 <= len(cells), [cell.source for cell in silent]


@every_notebook
def test_every_figure_of_a_notebook_has_words(path: Path) -> None:
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            if "<svg" in data.get("text/html", ""):
                assert re.search(r'aria-label="[^"]{10,}|<title>[^<]{10,}', data["text/html"]), cell.source
            elif any(kind.startswith("image/") for kind in data):
                words = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(words) >= 10, f"no alt text: {cell.source}"


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_image_in_text_has_words(path: Path) -> None:
    texts = [path.read_text("utf8")]
    if path.suffix == ".ipynb":
        texts = [
            cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
        ]
    for text in texts:
        assert not re.search(r"!\[\s*\]\(", text)
        for directive in re.findall(r"```\{(?:figure|image)\}.*?```", text, re.DOTALL):
            assert ":alt:" in directive
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'alt="[^"]+"', tag)


def test_no_file_names_a_machine() -> None:
    folders = ("imtlib", "_ext", "tools", "experiments", ".ci", ".github", "chapters", "data")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in TEXT]
    files = [file for file in files if "node_modules" not in file.parts]
    files += [file for file in ROOT.iterdir() if file.is_file() and file.suffix in TEXT | {".lock", ""}]
    assert [
        str(file) for file in files if MACHINE.search(file.read_text("utf8").replace("/path/to/", ""))
    ] == []


def test_the_lock_file_is_hashed_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text("utf8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash=sha256:", ""), re.MULTILINE), (
        "an option, such as an index"
    )
    entries = re.split(r"^(?=\w)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    names = [re.match(r"[\w.-]+", entry) for entry in entries if entry.strip()]
    assert len(names) > 50
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    assert "imtlib" not in {name[0] for name in names if name}


def test_the_lock_file_serves_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text("utf8"), re.MULTILINE
    ):
        locked.setdefault(canonicalize_name(name), []).append(version)
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(text)
        versions = locked.get(canonicalize_name(wanted.name), [])
        assert versions, f"{text} is not locked: run `make lock`"
        assert all(wanted.specifier.contains(version) for version in versions), f"{text}: run `make lock`"


def modules() -> set[str]:
    """Every module of the library, such as `imtlib.data.log`."""
    files = [path for path in (ROOT / "imtlib").rglob("*.py") if not path.stem.startswith("__")]
    assert len(files) > 40
    return {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}


def test_every_module_has_its_place_in_the_reference() -> None:
    reference = "".join(page.read_text("utf8") for page in (ROOT / "chapters").glob("api/*.md"))
    assert set(re.findall(r"automodule:: (imtlib[\w.]*)", reference)) == modules()


def test_every_term_of_the_glossary_has_its_chinese() -> None:
    glossaries = re.findall(
        r"```\{glossary\}\n(.*?)```", (ROOT / "chapters/glossary.md").read_text("utf8"), re.DOTALL
    )
    terms = [line for text in glossaries for line in text.splitlines() if line and not line.startswith(" ")]
    assert len(terms) > 50
    assert [term for term in terms if not re.fullmatch(r".+ \([A-Z]?[\u4e00-\u9fff]+\)", term)] == []
    assert len(set(terms)) == len(terms)


def test_the_readme_names_both_commands_and_the_licences() -> None:
    text = (ROOT / "README.md").read_text("utf8")
    for words in (
        "`make book`",
        "`make test`",
        "jupyter lab",
        "MIT",
        "CC BY 4.0",
        "CITATION.cff",
        "_config.yml",
    ):
        assert words.lower() in text.lower()


def test_the_citation_is_complete_and_names_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["authors"] == [{"name": "The imtlib authors"}]
    assert citation["version"] == project["version"]


class _Requests(HTMLParser):
    """Collects what a page loads by itself; links that a reader may follow are not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        loads = tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "object")
        if tag == "link" and given.get("rel") not in ("canonical", "license", "author"):
            loads = True
        self.found += [
            given[key] or "" for key in ("src", "href", "data", "srcset") if loads and given.get(key)
        ]


def test_no_built_page_asks_another_host() -> None:
    pages = sorted(BUILT.rglob("*.html"))
    if not pages:
        pytest.skip("the book is not built: run `make book` first")
    outside = set()
    for page in pages:
        parser = _Requests()
        parser.feed(page.read_text("utf8"))
        outside |= {(page.name, url) for url in parser.found if re.match(r"(?:https?:)?//", url)}
    for sheet in BUILT.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text("utf8"))
        outside |= {(sheet.name, url) for url in urls}
    assert outside == set()
    assert (BUILT / "_static" / "mathjax" / "tex-mml-chtml.js").exists()


def test_every_benchmark_file_is_whole_and_named_for_its_run() -> None:
    other = {"transfer", "new-users", "domains", "modalities"}
    files = [
        f for f in sorted((ROOT / "experiments" / "results").glob("*/*/*.json")) if f.parts[-3] not in other
    ]
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.name == f"{kept['model']}-seed{kept['seed']}.json"
        log = path.parent.parent.name.removesuffix("-followers")
        assert (log, path.parent.name) == (kept["dataset"], kept["split"])
        assert len(kept["rank"]) == len(kept["loss"]) == kept["requests"]["test"]
        hits = [rank is not None and rank <= 10 for rank in kept["rank"]]
        assert sum(hits) / len(hits) == pytest.approx(kept["test"]["HR@10"], abs=1e-5)
        assert kept["interval"]["HR@10"][0] < kept["test"]["HR@10"] < kept["interval"]["HR@10"][1]
        if (kept["dataset"], kept["split"]) == ("movielens-1m", "leave-one-out"):
            assert kept["hash"].startswith("9938b1b4eaecb2a8")


def test_every_transfer_file_is_whole_and_named_for_its_run() -> None:
    files = sorted((ROOT / "experiments" / "results" / "transfer").glob("*/*.json"))
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.parent.name == f"{kept['source']}--{kept['target']}"
        assert path.name == f"{kept['how']}-share{kept['share']:g}-seed{kept['seed']}.json"
        hits = [rank is not None and rank <= 10 for rank in kept["rank"]]
        assert sum(hits) / len(hits) == pytest.approx(kept["test"]["HR@10"], abs=1e-5)
        assert len(kept["loss"]) == len(hits)


def test_every_file_on_new_users_is_whole_and_named_for_its_run() -> None:
    files = sorted((ROOT / "experiments" / "results" / "new-users").glob("*/*.json"))
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.parent.name == kept["dataset"]
        assert path.name == f"{kept['model']}-seed{kept['seed']}.json"
        for events, figures in kept["after"].items():
            hits = [rank <= 10 for rank in kept["rank"][events]]
            assert len(hits) == len(kept["loss"][events]) == kept["new users"]
            assert sum(hits) / len(hits) == pytest.approx(figures["HR@10"], abs=1e-5)


def test_every_file_on_two_domains_is_whole_and_named_for_its_run() -> None:
    files = sorted((ROOT / "experiments" / "results" / "domains").glob("*/*.json"))
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.parent.name == kept["pair"]
        assert path.name == f"{kept['model']}-seed{kept['seed']}.json"
        for protocol in ("authors", "untied"):
            for figures in kept[protocol]["test"].values():
                hits = [rank is not None and rank <= 10 for rank in figures["rank"]]
                assert len(hits) == figures["requests"]
                assert sum(hits) / len(hits) == pytest.approx(figures["HR@10"], abs=1e-5)


def test_every_file_on_modalities_is_whole_and_named_for_its_run() -> None:
    files = sorted((ROOT / "experiments" / "results" / "modalities").rglob("*.json"))
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.name == f"{kept['model']}-seed{kept['seed']}.json"
        hits = [rank <= 10 for rank in kept["rank"]]
        assert len(hits) == len(kept["loss"]) == kept["requests"]["among"]
        assert sum(hits) / len(hits) == pytest.approx(kept["among"]["HR@10"], abs=1e-5)


def test_every_file_on_tasks_is_whole_and_named_for_its_run() -> None:
    files = sorted((ROOT / "experiments" / "results" / "tasks").glob("*.json"))
    assert files
    for path in files:
        kept = json.loads(path.read_text("utf8"))
        assert path.name == f"{kept['model']}-seed{kept['seed']}.json"
        assert (kept["matrix, total variation"] is None) == (kept["model"] == "no-transition")
        assert 0 < kept["points"]["average precision"] < 1
        assert len(kept["history"]) == kept["fitting"]["epochs"]
