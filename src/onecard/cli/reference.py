"""Write the reference of the command line, from the commands themselves.

`python -m onecard.cli.reference > docs/reference/cli.md`; a test compares the two.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer

from onecard.cli.app import GROUPS

SHARED = ("config", "data", "actor", "as_json", "help")

HEAD = """# The command line

*Written by `python -m onecard.cli.reference`: change the commands, not this page.*

`onecard` does one thing for each command, says what it did, and ends.

- Every command takes these options, before its name or after it:
  `--config FILE` (or `ONECARD_CONFIG`; `./onecard.toml` where there is one),
  `--data DIR` (or `ONECARD_DATA`): where the embedded database lies,
  `--actor WHO`: who acts, for the audit record, such as `staff:alice`; `staff:<login name>` unless given,
  `--json`: one JSON document on stdout and nothing else (of `serve`: the log in JSON).
- `ONECARD_DATABASE_URL` names a PostgreSQL in place of the embedded one. Otherwise a command attaches to the
  database of the `onecard serve` that runs on the same directory, or starts it for the moment.
- The master key is read from `ONECARD_MASTER_KEY`, else from `master_key_file` of the configuration, else from
  `<data directory>.master.key` beside the data directory. `onecard db init` makes the file where there is none.
- Exit codes: 0 done; 1 refused or failed, with one sentence on stderr that says what to do (with `--json` also
  `{"error": code, "message": sentence}` on stdout); 2 misuse.
- A card is named by any of its numbers in international form (`+16045550100`), its ICCID, or its id (`12` or
  `card:12`); a line by its number; an account by a number or the ICCID of a card, its own id (`7` or `account:7`), or
  `card:12`.
- Times are in the operator's time zone with their offset (UTC without a configuration). Amounts in JSON are
  `{"amount": "12.50", "currency": "CAD"}`, exact decimals as text.
- Lists come in pages: `next` in JSON, and a hint on stderr, say how to go on.
"""


def write_reference() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(part for name in GROUPS for part in _write_group(name))])


def _write_group(name: str) -> Iterator[str]:
    command: Any = typer.main.get_command(import_module(f"onecard.cli.{name}").app)
    yield f"## onecard {name}\n"
    if not hasattr(command, "commands"):
        yield from _write_command(command)
        return
    yield f"{GROUPS[name]}\n"
    for child, described in command.commands.items():
        usage = " ".join(_say_argument(one) for one in described.params if one.param_type_name == "argument")
        yield f"### onecard {name} {child} {usage}".rstrip() + "\n"
        yield from _write_command(described)


def _write_command(command: Any) -> Iterator[str]:
    yield f"{inspect.cleandoc(command.help)}\n"
    lines = [_say(one) for one in command.params if one.name not in SHARED]
    if lines:
        yield "\n".join(lines) + "\n"


def _say(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"- `{_say_argument(parameter)}`: {parameter.help}"
    name, *_ = parameter.opts
    needed = " Required." if parameter.required else ""
    return f"- `{name}{_say_value(parameter)}`: {parameter.help}{needed}"


def _say_argument(parameter: Any) -> str:
    name: str = parameter.metavar
    return name


def _say_value(parameter: Any) -> str:
    return "" if parameter.is_flag else f" {parameter.metavar}"


if __name__ == "__main__":
    sys.stdout.write(write_reference())
