"""The page of a service, on which pictures are dropped."""

from __future__ import annotations

from collections.abc import Sequence

from .render import render


def show_service(networks: Sequence[str], modes: Sequence[str], body: int) -> bytes:
    """The page.

    Parameters
    ----------
    networks : sequence of str
        Names of those that can be asked, the usual one first.
    modes : sequence of str
        Ways to fit a picture that can be asked for.
    body : int
        Bytes of the largest file that is taken.
    """
    return render("serving.html.j2", networks=networks, modes=modes, body=body)
