"""README's Python runs as it is written, in a folder with the pictures of `data/`."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from conftest import ROOT
from support_cli import PATIENCE, environment

BLOCKS = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
DRAW = [sys.executable, ROOT / "scripts" / "draw_shapes.py", "pictures", "--count", "40", "--folders"]
# What is run after some blocks: requests to the service, and saving the figure.
ASK = """
from fastapi.testclient import TestClient

client = TestClient(app)
for name in ("data/star.png", "data/shapes.data"):
    with open(name, "rb") as file:
        print(client.post("/classify", files={"file": file}).text[:40])
"""
SAVE = """
plt.savefig("figure.png")
"""


class Recipe(NamedTuple):
    """A block, known by a word in it: the libraries that it needs, what is run after it, what it prints last."""

    word: str
    libraries: tuple[str, ...] = ()
    behind: str = ""
    printed: str = ""


RECIPES = (
    Recipe("export(", ("onnx",)),
    Recipe("fastapi", ("fastapi", "python_multipart", "httpx2"), ASK, '{"error":"image 0: not a picture in any '),
    Recipe("multiprocessing", printed="['star', 'star', 'star', 'star']"),
    Recipe("matplotlib", ("matplotlib",), SAVE),
    Recipe("evaluate(", printed="5 5 {'top-1': (5, 1.0, (0.56"),
    Recipe("darknet_py.train(", printed="100 "),
)


def test_all_are_known():
    assert [[recipe.word for recipe in RECIPES if recipe.word in block] for block in BLOCKS] == [
        [recipe.word] for recipe in RECIPES
    ]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.word.strip("("))
def test_it_runs(recipe, cache, tmp_path):
    for library in recipe.libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    (block,) = [block for block in BLOCKS if recipe.word in block]
    shutil.copytree(ROOT / "data", tmp_path / "data")
    if "pictures" in block:
        subprocess.run(DRAW, cwd=tmp_path, check=True)
        (tmp_path / "backup").mkdir()
        shutil.copy(ROOT / "data" / "shapes.data", tmp_path / "backup")
    (tmp_path / "recipe.py").write_text(block + recipe.behind, encoding="utf-8")
    command = [sys.executable, "-W", "error", "recipe.py"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(cache, MPLBACKEND="Agg", OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "".join(ran.stdout.splitlines()[-1:]).startswith(recipe.printed)
