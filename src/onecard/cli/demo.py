"""`onecard demo`: tell the main story."""

from __future__ import annotations

from typing import Annotated

import typer

from onecard import story
from onecard.cli.command import plain_command
from onecard.cli.options import Options

SAMPLE_MOST = 5000

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@plain_command(app, "demo")
def demo(
    options: Options,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep everything running after the story, until SIGTERM.")
    ] = False,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            metavar="COUNT",
            min=0,
            max=SAMPLE_MOST,
            help="With --hold: so many subscribers are made up, with weeks of traffic, to look at; 0 for none.",
        ),
    ] = 300,
) -> None:
    """Tell the main story with a made-up operator on loopback, and verify every step.

    With --hold, addresses and sign-ins are printed as one JSON line, also those of self-care and the console.
    Exit code 0 only if all was verified.
    """
    code = story.demo(as_json=options.as_json, hold=hold, data=options.data, sample=sample)
    if code:
        raise typer.Exit(code)
