"""Running programs that are timed from their start to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .models import ROOT


def run(command: Sequence[str | Path]) -> str:
    """Run a program and return what it prints; exit where it fails."""
    # All run as if installed, with their modules compiled, which the first run does where nothing else did.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()[-500:]}")
    return done.stdout
