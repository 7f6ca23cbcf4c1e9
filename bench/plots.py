"""Plots as SVG, written by hand: medians over the number of ports, both axes logarithmic."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.stats import Summary

WIDTH, HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 50
_COLOURS = {"ovn": "#c0392b", "ours": "#2471a3", "static": "#7f8c8d"}
SHOWN = ("attach_ms", "plug_ms", "move_gap_ms", "add_one_port", "rule_ms", "member_ms")
"""Keys whose plots stand in the documentation."""

Series = dict[str, list[tuple[int, float]]]


def write_all(summaries: Sequence[Summary], directory: Path) -> list[Path]:
    """Write one plot per key and variant that was measured at two sizes or more."""
    groups: dict[tuple[str, str, str], Series] = {}
    for item in summaries:
        series = groups.setdefault((item.key, item.variant, item.unit), {})
        series.setdefault(item.system, []).append((item.size, item.clean.median))
    written: list[Path] = []
    directory.mkdir(parents=True, exist_ok=True)
    for (key, variant, unit), series in groups.items():
        if max(len(points) for points in series.values()) < 2:
            continue
        words = "-".join(f"{key} {variant}".replace("/", " ").split()).replace(",", "")
        path = directory / f"{words.replace(':', '').lower()}.svg"
        path.write_text(plot(f"{key}: {variant}", unit, series))
        written.append(path)
    return written


def plot(title: str, unit: str, series: Series) -> str:
    """Return the SVG of *series*: system → (ports, median) points."""
    values = [max(value, 0.01) for points in series.values() for _, value in points]
    sizes = sorted({size for points in series.values() for size, _ in points})
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(sizes) - 1)
    places = {size: _LEFT + step * index for index, size in enumerate(sizes)}

    def height(value: float) -> float:
        share = (math.log10(max(value, 0.01)) - low) / (high - low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    parts = [_text(WIDTH / 2, 22, f"{title} [{unit}]", size=15)]
    for power in range(low, high + 1):
        y = height(10.0**power)
        parts.append(_stroke([(_LEFT, y), (WIDTH - _RIGHT, y)], "#dddddd", 1))
        parts.append(_text(_LEFT - 8, y + 4, f"{10.0**power:g}", anchor="end"))
    for size, x in places.items():
        parts.append(_text(x, HEIGHT - _BOTTOM + 18, f"{size:,}"))
    parts.append(_text(WIDTH / 2, HEIGHT - 10, "ports"))
    for index, (system, points) in enumerate(series.items()):
        colour = _COLOURS.get(system, "#000000")
        line = [(places[size], height(value)) for size, value in sorted(points)]
        parts.append(_stroke(line, colour, 2))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in line]
        label = {"ovn": "OVN", "ours": "vpcctl", "static": "raw VXLAN"}.get(system, system)
        parts.append(_text(_LEFT + 12 + 90 * index, 38, label, anchor="start", colour=colour))
    return _document(parts)


def _document(parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    )
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _text(
    x: float, y: float, text: str, *, size: int = 12, anchor: str = "middle", colour: str = "#333"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _stroke(points: Sequence[tuple[float, float]], colour: str, width: int) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
