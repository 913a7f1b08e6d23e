"""`onecard serve`: run a node."""

from __future__ import annotations

import typer
import uvloop

from onecard.cli.command import log_to_stderr, plain_command
from onecard.cli.desk import check_made
from onecard.cli.failures import Failure
from onecard.cli.options import Options
from onecard.node.node import NotReady
from onecard.node.serve import serve as serve_node

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@plain_command(app, "serve")
def serve(options: Options) -> None:
    """Run a node: take texts from the links and hand them over, until SIGTERM or Ctrl-C.

    It logs to stderr; with --json, each line is a JSON object.
    """
    log_to_stderr(quiet=False, as_json=options.as_json)
    config = options.get_config()
    check_made(options)
    try:
        uvloop.run(
            serve_node(
                config,
                directory=options.data,
                database_url=options.database_url,
                clock=options.clock,
            )
        )
    except NotReady as error:
        raise Failure("not_ready", str(error)) from None
