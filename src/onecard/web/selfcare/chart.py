"""Charts, drawn here as SVG: no script, no request to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

from onecard.values.money import MICROS, Money
from onecard.web.writing import Writing

ACCENT = "#8fd0c8"
STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#50605d",
    foreground_strong="#16211f",
    foreground_subtle="#d5dddb",
    colors=(ACCENT,),
    font_family="system-ui, sans-serif",
    label_font_size=18,
    major_label_font_size=18,
    value_font_size=18,
    opacity="1",
)


def draw_spending(spent: Sequence[tuple[str, Money]], writing: Writing) -> bytes:
    """A bar a line, with its amount; the largest on top."""
    chart = pygal.HorizontalBar(
        style=STYLE,
        js=[],
        show_legend=False,
        print_values=True,
        show_x_labels=False,
        height=70 + 56 * max(len(spent), 1),
        width=720,
        margin=10,
        range=(0, None),
    )
    ordered = list(reversed(spent))  # the first is drawn lowest
    chart.x_labels = [writing.phone(number) for number, _ in ordered]
    chart.add(
        "",
        [
            {"value": float(Decimal(amount.micros) / MICROS), "formatter": _said(amount, writing)}
            for _, amount in ordered
        ],
    )
    chart.add_xml_filter(_without_scripts)
    drawn: bytes = chart.render()
    return drawn


def _without_scripts(root: Element) -> Element:
    """The picture alone: nothing moves in it."""
    for above in list(root.iter()):
        for script in [child for child in above if str(child.tag).endswith("script")]:
            above.remove(script)
    return root


def _said(amount: Money, writing: Writing) -> object:
    return lambda _: writing.money(amount)
