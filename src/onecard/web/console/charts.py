"""Charts, drawn here as SVG that stands alone: no script, nothing fetched, light and dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pygal  # type: ignore[import-untyped]
from litestar import Response
from pygal.style import Style  # type: ignore[import-untyped]

COLOURS = ("#14868c", "#d97d0d", "#6a5acd", "#c2185b", "#3d8b37", "#8a6d3b", "#1976d2", "#9e9e9e")
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#5b6b68",
    foreground_strong="#5b6b68",
    foreground_subtle="#9fb0ac",
    colors=COLOURS,
    font_family="system-ui, sans-serif",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    opacity=".92",
    opacity_hover="1",
    transition="0s",
)
_GUIDES = (
    ".axis .guides .line, .axis .guide.line { stroke: #8a9a97; stroke-opacity: .35; stroke-dasharray: none }"
)
_SETTINGS = {
    "style": _STYLE,
    "js": (),
    "width": 900,
    "height": 300,
    "margin": 8,
    "legend_at_bottom": True,
    "truncate_label": -1,
    "x_title": " ",  # room between the labels and the legend
    "css": ["file://style.css", "file://graph.css", f"inline:{_GUIDES}"],
    "legend_box_size": 12,
    "show_y_guides": True,
    "truncate_legend": 30,
    "pretty_print": False,
    "print_values": False,
    "show_minor_x_labels": False,
    "no_data_text": "nothing yet",
}
LABELS_MOST = 8

Series = Mapping[str, Sequence[float | None]]


def draw_stacked_bars(labels: Sequence[str], series: Series, unit: str) -> bytes:
    """Bars on top of each other: how much of each, at each label."""
    return _draw(pygal.StackedBar(**_SETTINGS, value_formatter=_formatter(unit), spacing=2), labels, series)


def draw_lines(labels: Sequence[str], series: Series, unit: str) -> bytes:
    """A line each; None leaves a gap."""
    chart = pygal.Line(**_SETTINGS, value_formatter=_formatter(unit), show_dots=len(labels) < 40, range=None)
    return _draw(chart, labels, series)


def _formatter(unit: str):  # type: ignore[no-untyped-def]  # pygal has no types
    return lambda value: f"{value:,.4g} {unit}".strip() if value < 1000 else f"{value:,.0f} {unit}".strip()


def _draw(chart: object, labels: Sequence[str], series: Series) -> bytes:
    chart.x_labels = list(labels)  # type: ignore[attr-defined]
    chart.x_labels_major = list(labels)[:: max(1, -(-len(labels) // LABELS_MOST))]  # type: ignore[attr-defined]
    chart.config.legend_at_bottom_columns = max(1, len(series))  # type: ignore[attr-defined]
    for name, values in series.items():
        chart.add(name, list(values))  # type: ignore[attr-defined]
    return _without_scripts(chart.render())  # type: ignore[attr-defined]


def _without_scripts(drawn: bytes) -> bytes:
    """The library writes its settings into a script, which a picture has no use for."""
    return re.sub(rb"<script\b.*?</script>", b"", drawn, flags=re.DOTALL)


def answer_svg(drawn: bytes) -> Response[bytes]:
    """A chart as an answer. A page shows it as a picture; opened by itself it may not even use its own style sheet."""
    headers = {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    return Response(drawn, media_type="image/svg+xml", headers=headers)
