"""Which algorithm computes each layer of the networks that come with the program, for each instruction set."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from conftest import GOLDEN, ROOT
from support import FIFTEEN

from darknet_py.engines import CPU_PRECISIONS
from darknet_py.engines.cpu.isa import ISAS

# For each instruction set and precision, by network: algorithms in the layers' order, with how often they follow.
EXPECTED = GOLDEN / "algorithms.json"
LIST = """
import json, sys
from itertools import groupby
from darknet_py.engines import CPU_PRECISIONS
from darknet_py.engines.cpu.inspect import plan_layers
from darknet_py.network import load_structure

def tell(name, precision):
    plans = plan_layers(load_structure(f"cfg/{name}.cfg").layers, precision)
    chosen = [plan.implementation.partition(":")[0] for plan in plans if plan.layer.parameters]
    return ", ".join(f"{algorithm} x {len([*group])}" for algorithm, group in groupby(chosen))

print(json.dumps({precision: {name: tell(name, precision) for name in sys.argv[1:]} for precision in CPU_PRECISIONS}))
"""


def list_algorithms(isa):
    """This version's choices, by precision and network, found in another process, for its instruction set."""
    env = {**os.environ, "DARKNET_PY_ISA": isa, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LIST, *FIFTEEN], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("isa", ISAS)
def test_layers_get_the_algorithms_that_were_measured_to_be_best(isa):
    """Where one is better on purpose, PYTHONPATH=tests python tests/engines/test_algorithms.py writes the file."""
    expected, found = json.loads(EXPECTED.read_text())[isa], list_algorithms(isa)
    for precision in CPU_PRECISIONS:
        for name in FIFTEEN:
            assert found[precision][name] == expected[precision][name], (precision, name)


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps({isa: list_algorithms(isa) for isa in ISAS}, indent=1) + "\n")
