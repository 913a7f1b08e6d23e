"""Run the benchmarks, all or those named, and print what they measured, on what machine, by what command.

python -m bench [section ...]
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from bench import Figure, charging, directory, ledger, nchf, texts, winddown

SECTIONS: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "ledger": ledger.measure,
    "texts": texts.measure,
    "charging": charging.measure,
    "nchf": nchf.measure,
    "directory": directory.measure,
    "winddown": winddown.measure,
}


def main() -> None:
    """Run each section in an event loop of its own."""
    names = sys.argv[1:] or list(SECTIONS)
    if unknown := set(names) - set(SECTIONS):
        sys.exit(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    console = Console()
    console.print(f"machine  {describe_machine()}\ncommand  python -m bench {' '.join(names)}")
    for name in names:
        console.print(tabulate(name, uvloop.run(_run(name))))


async def _run(name: str) -> list[Figure]:
    return await SECTIONS[name]()


def describe_machine() -> str:
    """Processor, cores, memory, system, Python."""
    memory_gibibytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory_gibibytes:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


def tabulate(name: str, figures: list[Figure]) -> Table:
    """The figures of a section, one a row."""
    table = Table(title=name, title_justify="left")
    table.add_column("measured")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for figure in figures:
        digits = 0 if figure.value >= 1000 else 1
        table.add_row(figure.name, f"{figure.value:,.{digits}f}", figure.unit)
    return table


if __name__ == "__main__":
    main()
