"""The Dockerfile: what it names is there, what it copies is not left out, and nobody runs as root."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest
from conftest import ROOT

from darknet_py.cli import COMMANDS

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# With continued lines joined, and without comments.
LINES = re.sub(
    r"\\\n\s*", "", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
).splitlines()


def of(instruction):
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def test_commands_are_the_programs():
    said = [step.split() for line in of("RUN") for step in line.split("&&")]
    named = [words[1] for words in said if words[0] == "darknet"]
    assert named == ["warmup"]
    assert set(named) <= COMMANDS.keys()
    assert of("ENTRYPOINT") == ['["darknet"]']
    assert "darknet" in PROJECT["project"]["scripts"]
    assert "darknet classify shapes" in (ROOT / "Dockerfile").read_text()


def test_variables_are_read_by_the_program():
    sources = "".join(path.read_text() for path in (ROOT / "darknet_py").rglob("*.py"))
    named = set(re.findall(r"DARKNET_\w+", (ROOT / "Dockerfile").read_text()))
    assert {"DARKNET_PY_CACHE", "DARKNET_PY_ISA"} <= named
    assert all(f'"{name}"' in sources for name in named)


def test_folders_in_the_cache_are_those_that_are_used():
    from darknet_py.inventory import FOLDERS

    made = set(re.findall(r"\$DARKNET_PY_CACHE/(\w+)", (ROOT / "Dockerfile").read_text()))
    assert made == {"weights", "journals"}
    assert made <= {*FOLDERS}


def test_python_is_one_that_is_supported_and_packages_are_those_of_the_project():
    (version,) = {line.split()[0] for line in of("FROM")}
    number = version.removeprefix("python:").removesuffix("-slim")
    assert f"Programming Language :: Python :: {number}" in PROJECT["project"]["classifiers"]
    needed = {re.match(r"[\w-]+", one)[0] for one in PROJECT["project"]["dependencies"]}
    (left_out,) = re.findall(r"pip uninstall --yes (\S+)", "".join(of("RUN")))
    assert left_out in needed
    assert f"pip install --no-cache-dir {left_out}-headless" in "".join(of("RUN"))
    (extras,) = re.findall(r"pip install --no-cache-dir '\.\[([\w,]+)\]'", "".join(of("RUN")))
    assert {*extras.split(",")} <= PROJECT["project"]["optional-dependencies"].keys()


def test_what_the_documents_run_in_it_is_installed():
    documents = (ROOT / "README.md").read_text() + (ROOT / "Dockerfile").read_text()
    ran = {*re.findall(r"docker run .* darknet (\w+)", documents)}
    assert {"classify", "fetch", "serve"} <= ran <= COMMANDS.keys()
    assert "[serve]" in "".join(of("RUN"))


def test_it_does_not_run_as_root():
    (user,) = of("USER")
    assert int(user.split(":")[0]) > 0
    assert LINES.index(f"USER {user}") > max(place for place, line in enumerate(LINES) if line.startswith("RUN"))


def test_what_pip_installs_and_nothing_else_is_sent_to_the_build():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    hatch = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    wanted = {
        "pyproject.toml",
        project["readme"],
        *project["license-files"],
        *hatch["only-include"],
    }
    assert set(kept) == wanted
    assert all((ROOT / name).exists() for name in kept)
    assert not any(fnmatch(".git", name) or fnmatch("tests", name) for name in kept)
