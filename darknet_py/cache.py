"""Where the program keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Say where the cache lies; nothing is made, and nothing is asked of the folder.

    Returns
    -------
    Path
        An absolute path: `DARKNET_PY_CACHE` where it is set, else the user's cache folder on this system.
    """
    override = os.environ.get("DARKNET_PY_CACHE")
    if override:
        return Path(os.path.abspath(os.path.expanduser(override)))
    from platformdirs import user_cache_path

    try:
        path = user_cache_path("darknet_py", appauthor=False)
    except RuntimeError:  # newer versions: there is no home
        path = Path("~")
    # Without a home, older versions answer a relative "~/...": it would be made in the working directory.
    return path if path.is_absolute() else Path(os.path.abspath(os.sep), ".cache", "darknet_py")
