"""`onecard config`: check a configuration file, or print one to start from."""

from __future__ import annotations

from importlib.resources import files

from onecard.cli.command import new_group, plain_command
from onecard.cli.options import Options
from onecard.cli.show import Answer
from onecard.node.config import passwords

app = new_group("Check a configuration file, or print one to start from.")


@plain_command(app, "check")
def check(options: Options) -> Answer:
    """Say whether the configuration can be used, or name all that is wrong with it."""
    config = options.get_config()
    passwords(config)
    links = [link.name for link in config.links]
    said = f"the configuration is good: operator {config.operator.name}, links {', '.join(links) or 'none'}"
    return Answer({"good": True, "operator": config.operator.name, "links": links}, [said])


@plain_command(app, "example")
def example(_: Options) -> Answer:
    """Print a commented configuration to start from."""
    text = (files("onecard.cli") / "example.toml").read_text(encoding="utf-8")
    return Answer({"toml": text}, [text.rstrip()])
