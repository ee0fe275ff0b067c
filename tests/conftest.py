"""What the tests share: where the recorded answers are, and a cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from support_cli import Answer

# Assertions that fail in these modules print their values, as in a test.
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("support*.py")))
# How long an example takes says something about the machine, not about the program.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"
# Trained weights and photographs, which the project does not contain; tests that need them skip without.
REFERENCE = Path(os.environ.get("DARKNET_PY_REFERENCE", ROOT.parent / "shared" / "reference"))

needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"no trained weights and photographs at {REFERENCE} (DARKNET_PY_REFERENCE)"
)


def run_golden(script: str, *arguments: object) -> None:
    """Run a script of the folder with the recorded answers, which makes the inputs of these."""
    subprocess.run([sys.executable, str(GOLDEN / script), *map(str, arguments)], check=True)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the program for all tests that start it, with the kernels that the tests themselves run, too."""
    from darknet_py.cache import cache_dir, keep
    from darknet_py.engines.cpu import jit

    folder, kernels = tmp_path_factory.mktemp("cache"), jit.make_kernels()
    keep(folder / jit.kernels_path().relative_to(cache_dir()), lambda kept: kernels)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn shapes in class folders, which no test changes."""
    from support_trainer import draw_folders

    return draw_folders(tmp_path_factory.mktemp("shapes") / "pics", 10)


@pytest.fixture
def darknet(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the program in this process; return its exit code and what it printed."""
    from darknet_py.cli import main

    def darknet(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return darknet


@pytest.fixture
def train(folder: Path, cache: Path) -> Callable[..., Answer]:
    """Run ``darknet classifier train`` in the test's own `folder`."""
    from support_cli import environment, run

    return partial(run, "classifier", "train", cwd=folder, env=environment(cache))


def pytest_configure(config: pytest.Config) -> None:
    # Randomly drawn networks have layers for which engines have no kernel.
    config.addinivalue_line("filterwarnings", "ignore:layers that run by their definitions")
    config.addinivalue_line("markers", "slow: takes seconds; runs after all others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
