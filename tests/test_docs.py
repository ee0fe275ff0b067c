"""What the documents name is there: files, functions, make's targets; their Python can be read."""

from __future__ import annotations

import ast
import re
import textwrap

import pytest
from conftest import ROOT

DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
# What the examples of the pages "add a ..." make, which does not exist.
EXAMPLES = re.compile("enlarge|hard_swish|im2col|to_columns|avx512.small", re.IGNORECASE)
PATH = re.compile(r"[\w./-]+/|[\w./-]+\.(?:py|cu|cuh|md|json|cfg|toml|png)")
NAME = re.compile(r"[A-Za-z_][\w.]*(?:\(\))?")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)]*))?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(path):
    """A document, and the words in backquotes outside its blocks."""
    text = path.read_text(encoding="utf-8")
    return text, re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


@pytest.fixture(scope="module")
def words():
    """All words of the sources, and the names of their files."""
    places = [ROOT / name for name in ("darknet_py", "tests", "scripts", "cfg")]
    files = [file for place in places for file in place.rglob("*") if file.suffix in (".py", ".cu", ".cuh", ".cfg")]
    text = "\n".join(
        file.read_text(encoding="utf-8") for file in [*files, ROOT / "Makefile"] if file.name != "test_docs.py"
    )
    return {*re.findall(r"\w+", text), *(file.stem for file in files)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text, _ = read(path)
    for target, anchor in LINK.findall(text):
        if "://" not in target:
            assert (path.parent / target).exists(), target
            heads = re.findall(r"^#+ (.*)$", (path.parent / target).read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_names_are_those_of_the_code(path, words):
    _, spans = read(path)
    for span in spans:
        if EXAMPLES.search(span):
            continue
        if PATH.fullmatch(span):
            assert (ROOT / span).exists(), span
        elif NAME.fullmatch(span):
            missing = set(re.findall(r"[A-Za-z_]\w*", span)) - words
            assert not missing, span


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_name_tests_and_targets_that_exist(path):
    text, spans = read(path)
    commands = spans + [line for kind, block in FENCE.findall(text) if kind == "sh" for line in block.splitlines()]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands:
        if command.startswith("make "):
            assert command.split()[1] in targets, command
        for name in re.findall(r"\btests/[\w./]+", command):
            assert EXAMPLES.search(name) or (ROOT / name).exists(), command


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_can_be_read(path):
    for kind, block in FENCE.findall(path.read_text(encoding="utf-8")):
        if kind == "python":
            block = textwrap.dedent(block)  # a method, say, or a branch
            ast.parse(f"if x:\n    pass\n{block}" if block.startswith("elif") else block)


def test_the_readme_leads_to_all_of_them():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    linked = {target for text in texts for target, _ in LINK.findall(text)}
    assert {path.relative_to(ROOT).as_posix() for path in DOCUMENTS} <= linked
