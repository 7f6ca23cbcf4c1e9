"""The results as a file, as a table on the terminal, and as Markdown."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.judging import judge
from bench.stats import Sample, Summary, ratio, summarise
from bench.targets import Verdict

_HEAD = (
    *("ports", "what", "unit", "OVN min", "median", "p95"),
    *("ours min", "median", "p95", "ours / OVN", "with stalls", "left out", "raw median"),
)
BEGIN, END = "<!-- results begin -->", "<!-- results end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the same measurement of every system."""

    key: str
    variant: str
    size: int
    unit: str
    systems: dict[str, Summary]

    def cells(self) -> list[str]:
        """Return the cells of the table's line."""
        theirs, mine = self.systems.get("ovn"), self.systems.get("ours")
        share = ratio(mine.clean.median, theirs.clean.median) if mine and theirs else None
        raw = self.systems.get("static")
        left_out = sum(summary.left_out for summary in self.systems.values())
        return [
            f"{self.size:,}",
            self.variant,
            self.unit,
            *_figures(theirs),
            *_figures(mine),
            "-" if share is None else f"{share:.2f}",
            self._with_stalls() if left_out else "",
            str(left_out) if left_out else "",
            number(raw.clean.median) if raw else "",
        ]

    def _with_stalls(self) -> str:
        """Return the medians that the samples touched by a stall would make."""
        found = [self.systems[name] for name in ("ovn", "ours") if name in self.systems]
        return " / ".join(number(summary.everything.median) for summary in found)


def _figures(summary: Summary | None) -> list[str]:
    if summary is None:
        return ["-", "-", "-"]
    clean = summary.clean
    return [number(value) for value in (clean.minimum, clean.median, clean.p95)]


def number(value: float) -> str:
    """Return *value* with three digits that mean something."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def rows(summaries: Iterable[Summary]) -> tuple[Row, ...]:
    """Return the table's lines in order: by key, then variant, then size."""
    found: dict[tuple[str, str, int], Row] = {}
    for item in summaries:
        name = (item.key, item.variant, item.size)
        row = found.setdefault(name, Row(*name, item.unit, {}))
        row.systems[item.system] = item
    keys = list(dict.fromkeys(row.key for row in found.values()))
    variants = list(dict.fromkeys((row.key, row.variant) for row in found.values()))
    return tuple(
        sorted(
            found.values(),
            key=lambda row: (
                keys.index(row.key),
                variants.index((row.key, row.variant)),
                row.size,
            ),
        )
    )


def show(console: Console, samples: Sequence[Sample]) -> None:
    """Print every measurement and the verdicts."""
    summaries = summarise(samples)
    table = Table(title="ours against OVN", show_lines=False)
    for head in ("key", *_HEAD):
        table.add_column(head, justify="left" if head in ("key", "what") else "right")
    last = ""
    for row in rows(summaries):
        table.add_row(row.key if row.key != last else "", *row.cells())
        last = row.key
    console.print(table)
    for verdict in judge(summaries):
        console.print(f"{_mark(verdict)} {verdict.goal}: {verdict.measured}")


def _mark(verdict: Verdict) -> str:
    return {True: "[green]met   [/]", False: "[red]missed[/]", None: "[dim]  -   [/]"}[verdict.met]


def write(
    path: Path,
    *,
    samples: Sequence[Sample],
    about: dict[str, Any],
    stalls: Sequence[object],
    failures: Sequence[str],
) -> None:
    """Write the results file."""
    summaries = summarise(samples)
    document = {
        **about,
        "summaries": [asdict(summary) for summary in summaries],
        "targets": [asdict(verdict) for verdict in judge(summaries)],
        "failures": list(failures),
        "stalls": stalls,
        "samples": [sample.as_dict() for sample in samples],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[dict[str, Any], tuple[Sample, ...]]:
    """Return a results file's document and its samples."""
    document = json.loads(path.read_text())
    return document, tuple(Sample(**sample) for sample in document["samples"])


def markdown(about: dict[str, Any], samples: Sequence[Sample]) -> str:
    """Return the machine, the tables and the verdicts as Markdown."""
    summaries = summarise(samples)
    lines = [f"Measured {about['started']}, {about['seconds'] / 60:.0f} minutes.", ""]
    facts = {**about["machine"], "OVN": about["ovn"], "load before": about["load"]}
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- not measured: {failure}" for failure in about["failures"]]
    last = ""
    for row in rows(summaries):
        if row.key != last:
            last = row.key
            lines += ["", f"### `{row.key}`", "", _line(_HEAD), _line(["---"] * len(_HEAD))]
        lines.append(_line(row.cells()))
    lines += ["", "### Goals", "", _line(("goal", "measured", "met")), _line(["---"] * 3)]
    words = {True: "yes", False: "**no**", None: "not measured"}
    for verdict in judge(summaries):
        lines.append(_line((verdict.goal, verdict.measured, words[verdict.met])))
    return "\n".join(lines).strip() + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def document(path: Path, text: str) -> None:
    """Replace what stands between the results' marks in the document *path* by *text*.

    Raises:
        ValueError: the document has no such marks.
    """
    old = path.read_text()
    head, begin, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no marks {BEGIN} and {END}")
    path.write_text(f"{head}{begin}\n\n{text}\n{end}{tail}")
