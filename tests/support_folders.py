"""Folders that cannot be read, whoever runs the tests."""

from __future__ import annotations

import errno
import os


def refuse_folder(monkeypatch, name):
    """Let the system refuse to read folders of that name."""
    scandir = os.scandir

    def refuse(folder):
        if os.path.basename(folder) == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
