"""An order that ends in giving numbers back and destroying what was kept, entered as staff do."""

from __future__ import annotations

from pathlib import Path

from cli.terminal import Terminal

READY = Path(__file__).parents[2] / "plans" / "cmlink-canada-2021.toml"
LAST_STAGE = """
[[stage]]
name = "30 June 2022: what is left goes"
at = 2022-06-29T00:00:00
opens = ["number_return", "purge"]
irreversible = true
"""


def start_order(terminal: Terminal) -> None:
    """Draft the plan with one more stage, approve it by two, and start it, by a clock that is before its stages."""
    plan = READY.read_text(encoding="utf-8")
    document = f'document_sha256 = "{"0a" * 32}"\n'
    text = plan.replace("# Whoever has", f"{document}# Whoever has").replace(
        "[last_days]", LAST_STAGE + "[last_days]"
    )
    terminal.tell("winddown", "draft", terminal.write("plan.toml", text))
    for actor in ("staff:alice", "staff:bob"):
        terminal.tell("winddown", "approve", "1", "--actor", actor)
    terminal.tell("winddown", "start")
