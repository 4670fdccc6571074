"""The page: pieces of HTML put together into one file that needs no other.

Pictures and videos stand in it as data URIs. Every function takes plain text and escapes it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

_DARK, _NARROW = "(prefers-color-scheme: dark)", "(max-width: 40rem)"


@dataclass(frozen=True)
class Section:
    """A part of the page: its heading, a sentence on it, and its pieces of HTML in order."""

    anchor: str
    heading: str
    lead: str
    pieces: tuple[str, ...]


def data_uri(data: bytes, kind: str) -> str:
    """`data` as a URI; `kind` is its media type, such as image/png."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def picture(
    light: bytes,
    alt: str,
    caption: str = "",
    *,
    dark: bytes | None = None,
    narrow: tuple[bytes, bytes] | None = None,
    wide: bool = False,
) -> str:
    """A PNG with its caption; `dark` replaces it on a dark page, `narrow` (light, dark) on a phone; a `wide` one
    scrolls there."""
    sources = [(_DARK, dark)] if dark else []
    if narrow:  # the first that fits is taken
        sources = [(f"{_NARROW} and {_DARK}", narrow[1]), (_NARROW, narrow[0]), *sources]
    source = "".join(f'<source media="{media}" srcset="{data_uri(data, "image/png")}">' for media, data in sources)
    image = f'<picture>{source}<img src="{data_uri(light, "image/png")}" alt="{escape(alt)}"></picture>'
    held = f'<div class="wide" tabindex="0">{image}</div>' if wide else image
    return _figure(held, caption)


def video(mp4: bytes, poster: bytes, caption: str) -> str:
    """An H.264 video with a PNG to show before it plays."""
    return _figure(
        f'<video controls loop muted playsinline preload="metadata" poster="{data_uri(poster, "image/png")}" '
        f'src="{data_uri(mp4, "video/mp4")}"></video>',
        caption,
    )


def _figure(content: str, caption: str) -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{content}{below}</figure>"


def grid(figures: Iterable[str], beside: int = 2) -> str:
    """Figures side by side, `beside` of them where the screen is wide enough."""
    return f'<div class="grid of{beside}">{"".join(figures)}</div>'


def cards(values: Sequence[tuple[str, str, str]]) -> str:
    """Large figures: each a name, a value, and a line under it."""
    items = (
        f'<div class="card"><div class="name">{escape(name)}</div><div class="value">{escape(value)}</div>'
        f'<div class="note">{escape(below)}</div></div>'
        for name, value, below in values
    )
    return f'<div class="cards">{"".join(items)}</div>'


def facts(values: Mapping[str, str]) -> str:
    """Names and values in one flowing list."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="facts">{items}</dl>' if items else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column holds names and whose others hold numbers; without `head` it has no top row."""
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>{top}<tbody>{body}</tbody></table></div>'


def folded(title: str, content: str) -> str:
    """Something that is looked up, not read: its title, and behind a click the rest."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def caption(text: str) -> str:
    """A caption for several figures."""
    return f'<p class="caption">{escape(text)}</p>'


def subheading(text: str) -> str:
    """A heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def note(text: str) -> str:
    """A quiet sentence: what is not here, and how to get it."""
    return f'<p class="missing">{escape(text)}</p>'


def page(title: str, subtitle: str, sections: Sequence[Section], foot: str) -> str:
    """The whole HTML document."""
    links = "".join(f'<a href="#{escape(s.anchor)}">{escape(s.heading)}</a>' for s in sections)
    style = resources.files("world_models.report").joinpath("page.css").read_text("utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>
<main>
{"".join(_section(section) for section in sections)}</main>
<footer>{escape(foot)}</footer>
</body>
</html>
"""


def _section(section: Section) -> str:
    return (
        f'<section id="{escape(section.anchor)}"><h2>{escape(section.heading)}</h2>'
        f'<p class="lead">{escape(section.lead)}</p>{"".join(section.pieces)}</section>\n'
    )
