"""The kernels for older machines: the same code, compiled for other instruction sets, keeps within the same bounds."""

from __future__ import annotations

import os
import subprocess
import sys

import llvmlite.binding as llvm
import pytest
from conftest import ROOT

from darknet_py.engines.cpu import isa, jit
from darknet_py.errors import EngineError

# Instruction sets of this processor's family, with the feature that each wants, as LLVM names it; `avx512` is what the
# other tests run with where it is there.
WANTED = {"avx2": "avx2", "generic": ""}

FEATURES = [
    ("generic", set()),
    ("generic", {"avx2"}),
    ("avx2", {"avx2", "fma"}),
    ("avx2", {"avx2", "fma", "avx512f"}),
    ("avx512", {"avx2", "fma", "avx512f", "avx512vl", "avx512dq"}),
    ("neon", {"neon"}),
]


@pytest.mark.parametrize(("name", "features"), FEATURES)
def test_a_machine_takes_the_best_that_it_has(name, features, monkeypatch):
    monkeypatch.setattr(isa, "ASKED", None)
    monkeypatch.setattr(isa, "_HAS", dict.fromkeys(features, True) | {"sse": True, "sse4a": False})
    assert isa._choose().name == name


@pytest.mark.parametrize(
    ("name", "has", "missing"),
    [
        ("avx512", {"avx2", "fma"}, "avx512f, avx512vl, avx512bw, avx512dq"),
        ("avx512", {"avx2", "fma", "avx512f", "avx512vl"}, "avx512bw, avx512dq"),
        ("avx2", {"sse"}, "avx2, fma"),
        ("neon", {"avx2", "fma"}, "neon"),
    ],
)
def test_what_the_machine_has_not_is_not_run(name, has, missing, monkeypatch):
    monkeypatch.setattr(isa, "_HAS", dict.fromkeys(has, True) | {"avx512cd": False})
    monkeypatch.setattr(isa.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(jit, "ASKED", name)
    monkeypatch.setattr(jit, "ISA", isa.ISAS[name])
    says = f"DARKNET_PY_ISA={name}: this processor has no {missing}; unset it for the best that there is"
    with pytest.raises(EngineError, match=f"^{says}$"):
        jit.load_kernels.__wrapped__()


@pytest.mark.parametrize("machine", ["aarch64", "arm64", "ARM64"])
def test_what_all_processors_of_its_family_have_is_run_though_it_is_not_told(machine, monkeypatch):
    monkeypatch.setattr(isa, "_HAS", {"crc": True})
    monkeypatch.setattr(isa.platform, "machine", lambda: machine)
    isa.refuse_missing(isa.ISAS["neon"])
    with pytest.raises(EngineError, match=": this processor has no avx2, fma;"):
        isa.refuse_missing(isa.ISAS["avx2"])


@pytest.mark.parametrize(("name", "has"), [("generic", {"sse"}), ("avx2", {"avx2", "fma"}), ("neon", {})])
def test_what_it_has_or_may_have_is(name, has, monkeypatch):
    monkeypatch.setattr(isa, "_HAS", dict.fromkeys(has, True))
    isa.refuse_missing(isa.ISAS[name])


@pytest.mark.parametrize(
    ("name", "machine", "expected"),
    [
        ("neon", "AMD64", "avx512, avx2, generic"),
        ("avx2", "arm64", "neon, generic"),
        ("avx512", "aarch64", "neon, generic"),
    ],
)
def test_what_no_machine_of_the_family_has_is_not_compiled(name, machine, expected, monkeypatch):
    monkeypatch.setattr(isa.platform, "machine", lambda: machine)
    monkeypatch.setattr(jit, "ASKED", name)
    monkeypatch.setattr(jit, "ISA", isa.ISAS[name])
    says = f"DARKNET_PY_ISA={name}: no {machine} processor has it; one of {expected} is expected"
    with pytest.raises(EngineError, match=f"^{says}$"):
        jit.make_kernels()


@pytest.mark.parametrize("name", ["avx512", "generic"])
@pytest.mark.parametrize("machine", ["x86_64", "riscv64"])
def test_what_some_may_have_is(name, machine, monkeypatch):
    monkeypatch.setattr(isa.platform, "machine", lambda: machine)
    isa.refuse_foreign(isa.ISAS[name])


def test_what_is_unknown_cannot_be_asked_for(monkeypatch):
    monkeypatch.setattr(isa, "ASKED", "avx10")
    with pytest.raises(
        EngineError, match=r"^DARKNET_PY_ISA=avx10: unknown instruction set; one of avx512, avx2, neon,"
    ):
        isa._choose()


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_the_engine_is_right_with_every_instruction_set(name, cache):
    if WANTED[name] and not llvm.get_host_cpu_features().get(WANTED[name]):
        pytest.skip(f"this machine has no {WANTED[name]}")
    environment = {
        **os.environ,
        "DARKNET_PY_ISA": name,
        "DARKNET_PY_EXAMPLES": "30",
        "DARKNET_PY_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
    }
    tests = ["tests/engines/test_cpu.py", "tests/engines/test_guards.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
