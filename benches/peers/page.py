"""The tables and plots of docs/speed.md."""

from html import escape
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

Costs = dict[str, dict[str, float]]

TITLES = {
    "alone": "Lock and unlock, uncontended",
    "paths": "64 workers on 64 paths, one session",
    "handoff": "16 workers on one path, a session each",
    "drain": "1,000 waiters drained, one session",
    "election": "Clean fail-over of an election",
}
FONT = 'font-family="sans-serif" font-size="13"'
UNITS = {
    "alone": "µs a cycle",
    "paths": "µs a cycle",
    "handoff": "µs a hand-off",
    "drain": "µs a hand-off",
    "election": "µs",
}


def base(costs: Costs) -> str:
    """What the ratios are to: the bare protocol, or the quickest peer where there is none."""
    if "raw" in costs:
        return "raw"
    peers = {name: cost["us"] for name, cost in costs.items() if not name.startswith("zkhelper")} or {
        name: cost["us"] for name, cost in costs.items()
    }
    return min(peers, key=lambda name: peers[name])


def ratio(rounds: list[dict[str, Any]], others: list[dict[str, Any]]) -> float:
    """The median of what each round took to that round of another: a machine is not equally quick all the time."""
    ratios: list[float] = [one["us"] / other["us"] for one, other in zip(rounds, others, strict=True)]
    return median(ratios)


def table(row: str, costs: Costs) -> str:
    if not costs:
        return f"### {TITLES[row]}\n\nnothing was measured\n"
    lines = [
        f"### {TITLES[row]}",
        "",
        f"| | {UNITS[row]} | × {base(costs)} | requests | CPU µs a cycle | threads | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, cost in sorted(costs.items(), key=lambda item: item[1]["us"]):
        lines.append(
            f"| {name} | {cost['us']:,.0f} | {cost['ratio']:.2f} | {cost['requests']:.1f} | "
            f"{cost['cpu_us']:,.0f} | {cost['threads']:.0f} | {cost['mib']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def bars(row: str, costs: Costs) -> str:
    """A plot: one bar for each, ours in another colour."""
    ranked = sorted(costs.items(), key=lambda item: item[1]["us"])
    longest = max(cost["us"] for _, cost in ranked)
    height = 44 + 24 * len(ranked)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{height}" {FONT}>',
        f'<rect width="640" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(TITLES[row])} ({UNITS[row]}, less is better)</text>',
    ]
    for i, (name, cost) in enumerate(ranked):
        y = 36 + 24 * i
        color = "#2b6cb0" if name.startswith("zkhelper") else "#a0aec0" if name != "raw" else "#4a5568"
        width = 400 * cost["us"] / longest
        out.append(f'<text x="150" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        out.append(f'<rect x="158" y="{y}" width="{width:.1f}" height="18" fill="{color}"/>')
        out.append(f'<text x="{164 + width:.1f}" y="{y + 14}">{cost["us"]:,.0f}</text>')
    return "\n".join([*out, "</svg>", ""])


def replace(text: str, mark: str, new: str) -> str:
    """Puts text between two marks of a page."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return before + begin + new + end + after


def write(docs: Path, results: dict[str, Costs]) -> None:
    (docs / "speed").mkdir(exist_ok=True)
    text = (docs / "speed.md").read_text()
    parts = []
    for row, costs in results.items():
        (docs / f"speed/{row}.svg").write_text(bars(row, costs))
        parts.append(table(row, costs) + f"\n![{TITLES[row]}](speed/{row}.svg)\n")
    (docs / "speed.md").write_text(replace(text, "comparison", "\n".join(parts)))


def line(points: list[tuple[float, float]], title: str) -> str:
    """A plot of values over counts, the counts by their logarithm."""
    most = max(value for _, value in points) * 1.15
    logs = [log10(count) for count, _ in points]
    span = (max(logs) - min(logs)) or 1.0
    places = [
        (60 + 520 * (x - min(logs)) / span, 240 - 190 * value / most)
        for x, (_, value) in zip(logs, points, strict=True)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="280" {FONT}>',
        '<rect width="640" height="280" fill="white"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
        '<path d="M60 40V240H600" fill="none" stroke="#4a5568"/>',
        f'<polyline points="{path}" fill="none" stroke="#2b6cb0" stroke-width="2"/>',
    ]
    for (x, y), (count, value) in zip(places, points, strict=True):
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2b6cb0"/>')
        out.append(f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{value:,.0f}</text>')
        out.append(f'<text x="{x:.1f}" y="260" text-anchor="middle">{count:,.0f}</text>')
    return "\n".join([*out, "</svg>", ""])


def write_scale(docs: Path, text: str, waiting: list[dict[str, Any]]) -> None:
    (docs / "speed").mkdir(exist_ok=True)
    points = [(point["count"], point["handoff_us"]) for point in waiting]
    (docs / "speed/queue.svg").write_text(line(points, "A hand-off by the number that wait (µs)"))
    speed = docs / "speed.md"
    speed.write_text(replace(speed.read_text(), "scale", text))
