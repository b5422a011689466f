"""The EHR's own colours around our pages, as far as everything stays readable. A style sheet of a few fixed lines."""

from __future__ import annotations

from flask import Blueprint, Response

from smart_app import guards
from smart_app.ports import EhrStyle

blueprint = Blueprint("ehr_colors", __name__)
guards.protect(blueprint, guards.require_member)

READABLE = 4.5  # WCAG 2.2, 1.4.3
# What our own sheet puts on the paper, and what it puts our text on (static/app.css).
ON_PAPER = ("#565c65", "#005ea2", "#1a4480", "#216e1f")
UNDER_TEXT = ("#ffffff", "#f4f6f9", "#e8eff7", "#fdf6e7")
ON_MAIN = ("#ffffff", "#e8eff7")
DEFAULT_PAPER, DEFAULT_INK = "#ffffff", "#1b1b1b"


@blueprint.get("/v/<launch_id>/colors.css")
def colors(launch_id: str) -> Response:
    """The style sheet of this launch; empty when the EHR named none or its colours would hide something."""
    launch = guards.launch()
    style = None
    if launch.style_url is not None:
        style = guards.services().ehr_style(launch.registration_id, launch.style_url)
    return Response(css_of(style) if style is not None else "", content_type="text/css; charset=utf-8")


def css_of(style: EhrStyle) -> str:
    """Our variables with the EHR's values. A colour that would make any text of ours hard to read is left out: it could
    also hide the button that hides the page."""
    paper, ink = style.background or DEFAULT_PAPER, style.text or DEFAULT_INK
    lines = []
    is_pair_readable = (
        contrast(paper, ink) >= READABLE
        and all(contrast(paper, other) >= READABLE for other in ON_PAPER)
        and all(contrast(ink, other) >= READABLE for other in UNDER_TEXT)
    )
    if is_pair_readable:
        lines += [f"--paper: {paper};", f"--ink: {ink};"]
    if style.highlight and all(contrast(style.highlight, other) >= READABLE for other in ON_MAIN):
        lines.append(f"--main: {style.highlight};")
    root = f":root {{ {' '.join(lines)} }}\n" if lines else ""
    return root + (f"body {{ font-size: {style.font_size_px}px; }}\n" if style.font_size_px else "")


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two "#rrggbb" colours, from 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
