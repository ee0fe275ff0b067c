"""darknet info: what a bug report should include, whatever is missing or broken."""

from __future__ import annotations

import json
import os
import sys

import pytest

from darknet_py import __version__, engines
from darknet_py.cache import keep
from darknet_py.cli import main
from darknet_py.commands import info
from darknet_py.engines.cpu import isa, jit
from darknet_py.limits import core_count


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def facts(capsys):
    """The facts as a program reads them, in JSON."""

    def facts():
        assert main(["info", "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return facts


def test_each_fact_has_its_line(capsys):
    assert main(["info"]) == 0
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == list(info.FACTS)
    assert err == ""


def test_it_tells_what_the_program_will_take(facts, cache):
    told = facts()
    assert list(told) == list(info.FACTS)
    assert told["darknet"] == __version__
    assert sys.executable in told["python"]
    assert told["libraries"].keys() >= {"numpy", "numba", "llvmlite"}
    assert told["instruction set"].startswith(isa.ISA.name)
    assert told["cores"]["used"] == str(core_count())
    assert "this machine's" in told["memory"]
    assert told["cache"] == str(cache)
    assert told["settings"]["DARKNET_PY_CACHE"] == str(cache)
    assert not cache.exists(), "asking makes nothing"


def test_kernels_are_compiled_or_not_or_not_trusted(facts):
    assert facts()["kernels"] == "not compiled yet; darknet warmup does it"
    keep(jit.kernels_path(), lambda kept: b"made here")
    assert facts()["kernels"] == "compiled"
    if sys.platform != "win32":
        jit.kernels_path().chmod(0o666)
        assert facts()["kernels"] == f"compiled at every start: {jit.kernels_path()}: others can write it (chmod go-w)"


@pytest.mark.parametrize(
    ("there", "driver", "reason"),
    [(None, True, "CuPy is not installed"), (object(), False, "there is no driver of NVIDIA's")],
)
def test_without_a_gpu_it_says_why(facts, monkeypatch, there, driver, reason):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(engines, "find_spec", lambda name: there)
    monkeypatch.setattr(engines, "_can_load", lambda library: driver)
    told = facts()
    assert (told["engine"], told["gpus"]) == ("cpu", {"none": reason})


@pytest.mark.parametrize(("works", "engine"), [(True, "cuda"), (False, "cpu")])
def test_with_a_gpu_it_is_taken_where_it_works(facts, monkeypatch, works, engine):
    def tell_gpus():
        if not works:
            raise engines.EngineError("no GPU can be used: out of order")
        return ["a GPU"]

    monkeypatch.setattr(engines, "why_no_gpu", str)
    monkeypatch.setattr(engines, "tell_gpus", tell_gpus)
    told = facts()
    assert told["engine"] == engine
    assert told["gpus"] == (["a GPU"] if works else {"unknown": "no GPU can be used: out of order"})


@pytest.mark.parametrize("name", info.FACTS)
def test_no_part_that_fails_takes_the_others_along(capsys, facts, monkeypatch, name):
    def fail():
        raise OSError("out of order\nsecond line")

    monkeypatch.setattr(info, "FACTS", {**info.FACTS, name: fail})
    assert facts()[name] == {"unknown": "out of order"}
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(info.FACTS)
    assert f"{name + ':':17} unknown: out of order" in lines


def test_addresses_that_may_hold_a_password_are_not_told(capsys, monkeypatch):
    monkeypatch.setenv("DARKNET_PY_BASE_URL", "https://me:secret@example.org/")
    assert main(["info"]) == 0
    assert "secret" not in capsys.readouterr().out
    assert "DARKNET_PY_BASE_URL" in os.environ
