"""Making pages from templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CONTROLS
from ..version import __version__
from .charts import percent

if TYPE_CHECKING:
    from jinja2 import Environment

# How bytes of a file's name that are not UTF-8, and control characters, as in messages, are shown.
_UNSHOWABLE = {code: f"\\x{code & 0xFF:02x}" for code in range(0xDC80, 0xDD00)} | {
    code: text for code, text in CONTROLS.items() if chr(code) not in "\t\n"
}


def render(template: str, **values: object) -> bytes:
    """The page that is made from `template`, a file of this folder, with `values`."""
    text = _environment().get_template(template).render(version=__version__, **values)
    return text.translate(_UNSHOWABLE).encode("utf-8", "backslashreplace")


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number="{:,}".format, duration=tell_duration)
    return environment


def tell_duration(seconds: float) -> str:
    """`seconds` in words, in units that suit them."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
