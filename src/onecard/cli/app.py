"""The root of the command line. A group's module is imported only when one of its commands is named."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from onecard.cli.options import ActorOption, JsonOption, Options, RootConfigOption, RootDataOption

GROUPS = {
    "serve": "Run a node, until SIGTERM or Ctrl-C.",
    "demo": "Tell the main story on loopback, and verify it.",
    "config": "Check a configuration file, or print one to start from.",
    "db": "Make, migrate and prove the database.",
    "card": "SIM stock and the cards that are sold.",
    "number": "The pools of numbers.",
    "line": "Numbers on cards: applications, settings, their end.",
    "account": "Prepaid accounts: balances, top-ups, entries.",
    "voucher": "Vouchers: PINs that top up an account once.",
    "refund": "Refunds: balances on their way back.",
    "payout": "Payouts: runs of refunds, their files, and what the bank answers.",
    "subscriber": "Subscribers: contact details, language, erasure.",
    "port": "Numbers that subscribers take to other operators.",
    "hold": "Legal holds: what forbids to destroy anything.",
    "purge": "Destroy what is kept of persons when its time has come.",
    "claim": "Claim codes: what proves a subscriber without texts.",
    "link": "Signalling connections to operators, banks and content senders.",
    "text": "What became of texts.",
    "tariff": "Price books.",
    "plan": "Plans: monthly fees with allowances.",
    "allowance": "Allowances: units that are used before cash.",
    "usage": "Usage records: what was used, and what it cost.",
    "staff": "Who works at the console, and what each may do.",
    "notice": "Notices of a wind-down: what subscribers are told, whom it reached, the proof of it.",
    "winddown": "The end of the service by order: the plan, its versions, its gates, and the closing statement.",
}


class Groups(TyperGroup):
    """All groups by name: a name and a line of help each, until one is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        return TyperCommand(cmd_name, help=GROUPS[cmd_name]) if cmd_name in GROUPS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        module = import_module(f"onecard.cli.{name}")
        return name, typer.main.get_command(module.app), rest


app = typer.Typer(
    cls=Groups,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # a traceback with its variables would show contact details
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"onecard {version('onecard')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: RootConfigOption = None,
    data: RootDataOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Run a one-card, many-numbers mobile service.

    The database is the embedded one of --data, or the one that ONECARD_DATABASE_URL names.
    """
    given: Options = context.obj or Options()
    context.obj = given.override(config, data, actor, as_json=as_json)
