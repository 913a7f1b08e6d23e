"""The options that every command takes, before the command's name or after it."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onecard.values.clock import Clock, SystemClock

if TYPE_CHECKING:
    from onecard.node.config import Config

CONFIG_FILE = Path("onecard.toml")
ACTOR_LENGTH_MOST = 100
ID_HIGHEST = 2**63 - 1
PAGE_MOST = 1000
"""What PostgreSQL's bigint holds."""


def _check_actor(actor: str | None) -> str | None:
    if actor is not None and not re.fullmatch(r"[a-z]+:[\w.@-]+", actor[: ACTOR_LENGTH_MOST + 1]):
        raise typer.BadParameter("who acts is written like staff:alice")
    return actor


_CONFIG_HELP = "The configuration; ./onecard.toml where there is one."
_DATA_HELP = "Where the embedded database lies; the master key is beside it."

# The environment speaks before the command's name only: what is written there goes over it.
RootConfigOption = Annotated[
    Path | None, typer.Option("--config", envvar="ONECARD_CONFIG", metavar="FILE", help=_CONFIG_HELP)
]
RootDataOption = Annotated[
    Path | None, typer.Option("--data", envvar="ONECARD_DATA", metavar="DIR", help=_DATA_HELP)
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help=_CONFIG_HELP)]
DataOption = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=_DATA_HELP)]
ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor",
        metavar="WHO",
        callback=_check_actor,
        help="Who acts, for the audit record; staff:<login name> unless given.",
    ),
]
MostOption = Annotated[
    int, typer.Option("--most", metavar="COUNT", min=1, max=PAGE_MOST, help="How many at most.")
]
NoticeArgument = Annotated[
    int, typer.Argument(metavar="NOTICE", min=1, max=ID_HIGHEST, help="A notice: see `onecard notice list`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What was given of them."""

    config_file: Path | None = None
    data: Path | None = None
    actor_given: str | None = None
    as_json: bool = False
    clock: Clock = field(default_factory=SystemClock)

    def override(
        self, config_file: Path | None, data: Path | None, actor: str | None, *, as_json: bool
    ) -> Options:
        """What stands behind the command's name goes over what stands before it."""
        return replace(
            self,
            config_file=config_file or self.config_file,
            data=data.resolve() if data else self.data,
            actor_given=actor or self.actor_given,
            as_json=as_json or self.as_json,
        )

    @property
    def actor(self) -> str:
        return self.actor_given or f"staff:{_login_name()}"

    @property
    def database_url(self) -> str | None:
        return os.environ.get("ONECARD_DATABASE_URL") or None

    @property
    def directory(self) -> Path:
        """Where the embedded database lies."""
        from onecard.database.directory import default_directory

        return self.data or default_directory()

    def find_config(self) -> Config | None:
        """The configuration, if one is named or lies in the working directory; raises ConfigError."""
        from onecard.node.config_reading import load_config

        file = self.config_file or (CONFIG_FILE if CONFIG_FILE.exists() else None)
        return None if file is None else load_config(file)

    def get_config(self) -> Config:
        """The configuration; raises ConfigError, also where there is none."""
        from onecard.node.config import ConfigError

        config = self.find_config()
        if config is None:
            raise ConfigError([NO_CONFIG])
        return config

    def master_key_file(self, config: Config | None) -> Path:
        """Where the master key is, unless it stands in the environment: beside the data directory by default."""
        if config is not None and config.master_key_file is not None:
            return Path(config.master_key_file)
        return self._beside_data("master.key")

    def signing_key_file(self, config: Config | None) -> Path:
        """Where the key is that signs statements and certificates: beside the data directory by default."""
        if config is not None and config.signing_key_file is not None:
            return Path(config.signing_key_file)
        return self._beside_data("signing.key")

    def _beside_data(self, name: str) -> Path:
        return self.directory.with_name(f"{self.directory.name}.{name}")


NO_CONFIG = (
    "there is no configuration: make one with `onecard config example > onecard.toml`, "
    "or name yours with --config"
)


def _login_name() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return str(os.getuid())
    return re.sub(r"[^\w.@-]", "_", name)
