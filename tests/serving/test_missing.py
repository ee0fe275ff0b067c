"""Without the libraries of the service."""

from __future__ import annotations

import builtins
import sys

import pytest

from darknet_py.cli import main


@pytest.mark.parametrize("absent", ["starlette", "uvicorn", "python_multipart", "prometheus_client"])
def test_a_library_that_is_missing_is_one_line_that_says_what_to_install(absent, monkeypatch, capsys):
    load = builtins.__import__

    def refuse(name, *arguments, **more):
        if name.split(".")[0] == absent:
            raise ModuleNotFoundError(f"No module named {absent!r}", name=absent)
        return load(name, *arguments, **more)

    for name in [name for name in sys.modules if name.startswith("darknet_py.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert main(["serve", "shapes", "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    start = "darknet: serve needs "
    assert line.startswith(start)
    assert line.endswith(": pip install starlette uvicorn python-multipart prometheus-client")
