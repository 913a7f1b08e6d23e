"""Turn a function into a command: its options, its database, its answer on the terminal, its exit code."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
import typer

from onecard.cli.desk import Desk, open_desk
from onecard.cli.failures import GateClosed, explain, explain_gate
from onecard.cli.options import ActorOption, ConfigOption, DataOption, JsonOption, Options
from onecard.cli.show import Answer, show, show_failure

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])


def new_group(help: str) -> typer.Typer:  # noqa: A002  # typer's word
    """A group of commands, also where it has but one."""
    group = typer.Typer(help=help, rich_markup_mode=None, no_args_is_help=True, add_completion=False)
    group.callback()(_nothing)
    return group


def _nothing() -> None:
    """A callback makes typer keep a group of one command a group."""


def plain_command(
    group: typer.Typer, name: str
) -> Callable[
    [Callable[Concatenate[Options, P], Answer | None]], Callable[Concatenate[Options, P], Answer | None]
]:
    """Register a command that needs no database: it is given the options first."""

    def register(
        function: Callable[Concatenate[Options, P], Answer | None],
    ) -> Callable[Concatenate[Options, P], Answer | None]:
        _register(group, name, function, function)
        return function

    return register


def desk_command(
    group: typer.Typer, name: str
) -> Callable[
    [Callable[Concatenate[Desk, P], Awaitable[Answer | None]]],
    Callable[Concatenate[Desk, P], Awaitable[Answer | None]],
]:
    """Register a command that works on the database: it is given a desk first. One that streams answers None."""

    def register(
        function: Callable[Concatenate[Desk, P], Awaitable[Answer | None]],
    ) -> Callable[Concatenate[Desk, P], Awaitable[Answer | None]]:
        def at_desk(options: Options, *args: P.args, **arguments: P.kwargs) -> Answer | None:
            async def work() -> Answer | None:
                async with open_desk(options) as desk:
                    try:
                        return await function(desk, *args, **arguments)
                    except GateClosed as gate:
                        raise explain_gate(gate.closed, desk.gates, desk.zone) from None

            return run(work())

        _register(group, name, function, at_desk)
        return function

    return register


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The one place where the command line enters the event loop."""
    return asyncio.run(coroutine)


def _register(
    group: typer.Typer, name: str, function: Callable[..., object], work: Callable[..., Answer | None]
) -> None:
    def call(
        context: typer.Context,
        config: ConfigOption = None,
        data: DataOption = None,
        actor: ActorOption = None,
        as_json: JsonOption = False,
        **arguments: Any,
    ) -> None:
        given: Options = context.obj or Options()
        _finish(given.override(config, data, actor, as_json=as_json), work, arguments)

    call.__doc__ = function.__doc__
    signature = _join_signatures(function, call)
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    group.command(name)(call)


def _join_signatures(function: Callable[..., object], call: Callable[..., object]) -> inspect.Signature:
    """The function's own parameters without the first, and then those that every command has."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = inspect.signature(call, eval_str=True).parameters.values()
    return inspect.Signature(
        [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in (*own, *shared)
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
    )


def _finish(options: Options, work: Callable[..., Answer | None], arguments: dict[str, Any]) -> None:
    """Do the work, show the answer or the one sentence that says what went wrong, and exit."""
    log_to_stderr(quiet=True)
    try:
        answer = work(options, **arguments)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        show_failure(failure, as_json=options.as_json)
        raise typer.Exit(failure.exit_code) from None
    if answer is not None:
        show(answer, as_json=options.as_json)
        if not answer.is_good:
            raise typer.Exit(1)


def log_to_stderr(*, quiet: bool, as_json: bool = False) -> None:
    """Keep stdout for answers. A command says only what is amiss; a node says what it does."""
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("warning" if quiet else "info"),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
