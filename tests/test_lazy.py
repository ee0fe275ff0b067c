"""Modules that are loaded when they are used: not by imports, only once, and as a plain import loads them."""

from __future__ import annotations

import importlib
import sys

import pytest

from darknet_py.lazy import load_when_used


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make a package of `init`, with a module `within`; both say on `sys.loads_seen` that they are loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "loads_seen", [], raising=False)

    def make(init):
        folder = tmp_path / "lazily"
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(f"import sys\nsys.loads_seen.append('lazily')\n{init}\n")
        (folder / "within.py").write_text("import sys\nfrom . import number\nsys.loads_seen.append('within')\n")

    yield make
    for name in ("lazily", "lazily.within"):
        sys.modules.pop(name, None)


def test_imports_load_nothing_and_the_first_use_does(package):
    package("number = 7")
    load_when_used("lazily")
    import lazily
    import lazily as again

    assert sys.loads_seen == []
    assert lazily.number == 7
    assert again is lazily is sys.modules["lazily"]
    assert lazily.__path__
    assert sys.loads_seen == ["lazily"]


def test_a_module_within_finds_it_loaded(package):
    package("number = 7")
    load_when_used("lazily")
    importlib.import_module("lazily.within")
    assert sys.loads_seen == ["lazily", "within"]


def test_names_that_are_imported_are_a_use(package):
    package("number = 7")
    load_when_used("lazily")
    from lazily import number

    assert number == 7


def test_what_it_has_not_is_told_as_of_any_module(package):
    package("number = 7")
    load_when_used("lazily")
    import lazily

    with pytest.raises(AttributeError, match="module 'lazily' has no attribute 'other'"):
        lazily.other  # noqa: B018
    assert lazily.number == 7


def test_a_module_that_fails_raises_its_own_error_and_can_be_imported_later(package):
    package("raise ImportError('no such library')")
    load_when_used("lazily")
    import lazily

    with pytest.raises(ImportError, match="no such library"):
        lazily.number  # noqa: B018
    package("number = 7  # and now it is there")
    importlib.invalidate_caches()
    assert importlib.import_module("lazily").number == 7


def test_a_loaded_module_and_one_that_is_missing_are_left_alone():
    load_when_used("sys")
    load_when_used("no_such_module_anywhere")
    assert "no_such_module_anywhere" not in sys.modules
    assert sys.modules["sys"] is sys
