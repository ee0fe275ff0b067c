"""The cache of compiled kernels."""

from __future__ import annotations

import ast
import errno
import importlib
import logging
import os
import pickle
import struct
import sys

import pytest
from conftest import ROOT

from darknet_py import limits
from darknet_py.cache import is_kept
from darknet_py.cli import main
from darknet_py.engines.cpu import compiler, isa, jit
from darknet_py.engines.cpu.isa import ISA
from darknet_py.errors import EngineError
from darknet_py.limits import Limit

CPU = ROOT / "darknet_py/engines/cpu"


def test_kernels_are_compiled_once_and_anew_where_the_cache_is_broken(tmp_path, monkeypatch):
    whole, compiled = b"kernels", []
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    monkeypatch.setattr(jit, "_make", lambda kept: compiled.append(kept) or whole)
    for _ in range(2):
        assert jit.make_kernels() == whole
    assert compiled == [True]
    (kept,) = (tmp_path / "kernels").iterdir()
    damaged = kept.read_bytes()[:-1]
    kept.write_bytes(damaged)
    for _ in range(2):
        assert jit.make_kernels() == whole
    assert compiled == [True, True]
    assert kept.stat().st_size == len(damaged) + 1


def test_where_memory_does_not_suffice_to_compile_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    monkeypatch.setattr(jit, "memory_limits", lambda: [Limit("this container's", 200 << 20, 50 << 20)])
    says = "engine=cpu: compiling kernels takes 212 MiB, more than this container's 200 MiB"
    with pytest.raises(EngineError, match=f"^{says}$"):
        jit.load_kernels.__wrapped__()


def test_where_no_memory_can_be_made_executable_it_says_so(monkeypatch):
    def refuse(linked, own):
        raise PermissionError(errno.EACCES, "memory cannot be made executable")

    monkeypatch.setattr(jit, "place", refuse)
    fields = {"entries": {}, "addresses": [], "imports": {}}
    with pytest.raises(EngineError, match=r"^engine=cpu: no kernels can be run: memory cannot be made executable$"):
        jit.Native(pickle.dumps(fields))


def test_kernels_that_are_asked_for_are_those_of_all_processors(monkeypatch):
    """As in an image of a container that runs on another machine than it is built on."""
    paths = {}
    for asked in (None, "avx2"):
        monkeypatch.setattr(jit, "ASKED", asked)
        for identity in ("one", "another"):
            monkeypatch.setattr(jit, "PROCESSOR", jit.PROCESSOR._replace(identity=identity))
            paths[asked, identity] = jit.kernels_path()
    assert paths["avx2", "one"] == paths["avx2", "another"]
    assert len(set(paths.values())) == 3


@pytest.mark.parametrize("path", [*CPU.glob("compiled/*.py"), CPU / "table.py"], ids=lambda path: path.stem)
def test_kernels_are_compiled_anew_where_anything_changes_that_they_are_made_of(path):
    """Constants of layers, too."""
    kept = {found.resolve() for pattern in jit.SOURCES for found in CPU.glob(pattern)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [module / alias.name for alias in node.names]
            parts = [f for name in names for f in (name.with_suffix(".py"), name / "__init__.py") if f.is_file()]
            made_of = parts or [module / "__init__.py" if module.is_dir() else module.with_suffix(".py")]
            assert {*made_of} <= kept, ast.unparse(node)


@pytest.fixture
def screen(monkeypatch):
    """Run `jit._make` where standard error is a terminal; return what appears there, and `end`."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    fcntl, termios = map(importlib.import_module, ("fcntl", "termios"))
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))

    def screen(kept):
        with os.fdopen(slave, "w") as stream, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stream)
            jit._make(kept)
            stream.write("end")
            stream.flush()
            seen = ""
            while not seen.endswith("end"):
                seen += os.read(master, 1 << 16).decode()
            return seen

    yield screen
    os.close(master)


@pytest.fixture
def compile_nothing(monkeypatch):
    def compile_kernels(alone, tell):
        for share in (0.25, 1):
            tell(share)
        return []

    monkeypatch.setattr(compiler, "compile_kernels", compile_kernels)


def test_kernels_are_made_for_a_processor_that_cannot_run_them(compile_nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path))
    monkeypatch.setattr(isa, "_HAS", {"sse": True})
    monkeypatch.setattr(isa.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(jit, "ASKED", "avx512")
    monkeypatch.setattr(jit, "ISA", isa.ISAS["avx512"])
    assert main(["warmup"]) == 0
    assert is_kept(jit.kernels_path())
    with pytest.raises(EngineError, match=r"^DARKNET_PY_ISA=avx512: this processor has no avx512f, "):
        jit.load_kernels.__wrapped__()


@pytest.mark.parametrize("kept", [True, False])
def test_at_a_terminal_a_bar_tells_what_is_done(kept, screen, compile_nothing, caplog):
    caplog.set_level(logging.INFO, "darknet_py")
    seen = screen(kept)
    assert f"compiling kernels for {ISA.name}{', once' if kept else ''}:   0%|" in seen
    assert seen.endswith("\rend")  # it is wiped
    assert not caplog.records


def test_elsewhere_a_line_is_logged(compile_nothing, caplog, capsys):
    caplog.set_level(logging.INFO, "darknet_py")
    jit._make(True)
    assert caplog.messages == [f"compiling kernels for {ISA.name}, once: about 13 seconds on two cores"]
    assert "%" not in capsys.readouterr().err  # no bar


def test_nothing_is_told_where_nothing_but_errors_is(screen, compile_nothing, caplog):
    caplog.set_level(logging.WARNING, "darknet_py")
    assert screen(True) == "end"
    assert not caplog.records


@pytest.mark.parametrize(("processors", "megabytes", "expected"), [(2, 1000, False), (1, 1000, True), (2, 300, True)])
def test_another_process_helps_where_there_is_a_processor_and_memory_for_it(
    processors, megabytes, expected, monkeypatch
):
    asked = []

    def compile_kernels(alone, tell):
        asked.append(alone)
        return []

    monkeypatch.setattr(compiler, "compile_kernels", compile_kernels)
    monkeypatch.setattr(jit, "processor_count", lambda: processors)
    for module in (jit, limits):
        monkeypatch.setattr(module, "memory_limits", lambda: [Limit("this machine's", megabytes * 10**6, 0)])
    jit._make(True)
    assert asked == [expected]
