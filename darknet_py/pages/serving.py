"""The page of a service, onto which pictures are dropped."""

from __future__ import annotations

from collections.abc import Sequence

from .render import render


def show_service(networks: Sequence[str], modes: Sequence[str], body: int) -> bytes:
    """The page.

    Parameters
    ----------
    networks : sequence of str
        The names of those that can be chosen, the default first.
    modes : sequence of str
        The ways to fit a picture that can be chosen.
    body : int
        Bytes of the largest request that is accepted.
    """
    return render("serving.html.j2", networks=networks, modes=modes, body=body)
