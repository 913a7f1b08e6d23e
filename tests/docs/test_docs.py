"""The documentation says what the code does: keys, defaults, statuses, examples, links, commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest
import typer

from onecard.catalogue.reading import read_toml_price_list
from onecard.charging.actions import REMEMBERED_MOST
from onecard.charging.notices import NoticeKind
from onecard.charging.rules import QUOTAS, UNITS_A_SECOND_MOST
from onecard.cli.app import GROUPS
from onecard.database.migrations import read_migrations
from onecard.gateways.diameter import dictionary, endpoint, translate
from onecard.gateways.diameter.codec import MOST_REPEATED
from onecard.gateways.diameter.constants import MOST_MESSAGE_OCTETS, ResultCode
from onecard.gateways.diameter.session import SessionSettings
from onecard.gateways.nchf import translate as nchf
from onecard.gateways.nchf.problems import Cause
from onecard.gateways.smpp.constants import CommandStatus
from onecard.gateways.smpp.translate import (
    STATUS_OF_CANCEL_REFUSAL,
    STATUS_OF_REFUSAL,
    STATUS_OF_REPLACE_REFUSAL,
)
from onecard.node import config, payment_config
from onecard.node.config import ConfigError
from onecard.node.config_reading import load_config
from onecard.values.gate import OPENED_BY_A_STAGE, Capability
from onecard.winddown import reading as winddown
from onecard.winddown.model import PROTECTED, RefundPolicy, ValueKind
from onecard.winddown.reading import read_plan

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Top level": config.Config,
    "`[operator]`": config.Operator,
    "`[texts]`": config.Texts,
    "`[smpp]`": config.Smpp,
    "`[smpp.tls]`": config.Tls,
    "`[http]`": config.Http,
    "`[web]`": config.Web,
    "`[diameter]`": config.Diameter,
    "`[[diameter.peers]]`": config.DiameterPeer,
    "`[diameter.peers.connect]`": config.DiameterConnect,
    "`[charging]`": config.Charging,
    "`[[charging.consumers]]`": config.Consumer,
    "`[payments]`": payment_config.Payments,
    "`[[payments.providers]]`": payment_config.PaymentProvider,
    "`[[payments.clients]]`": payment_config.PaymentClient,
    "`[payouts]`": payment_config.Payouts,
    "`[payouts.paid_from]`": payment_config.PayingAccount,
    "`[portability]`": config.Portability,
    "`[[portability.operators]]`": config.PortingOperator,
    "`[mail]`": config.Mail,
    "`[notices]`": config.Notices,
    "`[retention]`": config.Retention,
    "`[[links]]`": config.Link,
    "`[links.connect]`": config.Connect,
}
OPERATOR = """
[operator]
name = "Maple Bridge"
home_country = "CA"
currency = "CAD"
time_zone = "America/Vancouver"
"""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert table, f"there is no table below {heading}"
    return [[cell.strip() for cell in row[1:-1].split(" | ")] for row in table[0].splitlines()[2:]]


def blocks_of(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, also those inside a list."""
    blocks = re.findall(
        rf"^ *```{language}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [dedent(block) for block in blocks]


def say_default(field: msgspec.structs.FieldInfo) -> str:
    """A default as the reference writes it: in TOML, or in a word."""
    if field.required:
        return "required"
    value: Any = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "none"
    return "a table" if isinstance(value, msgspec.Struct) else f"`{_in_toml(value)}`"


def _in_toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_in_toml, value))}]"
    if isinstance(value, Enum):
        return _in_toml(value.value)
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_reference_names_every_key_of_the_configuration_with_its_default(heading: str) -> None:
    written = [(row[0], row[1]) for row in rows_of(read("reference/configuration.md"), heading)]
    fields = msgspec.structs.fields(SECTIONS[heading])
    assert written == [(f"`{field.name}`", say_default(field)) for field in fields]


PLAN = "reference/winddown-plan.md"
PLAN_TABLES: dict[str, type[msgspec.Struct]] = {
    "Top level": winddown.TopKeys,
    "`[order]`": winddown.OrderKeys,
    "`[[stage]]`": winddown.StageKeys,
    "`[[notice]]`": winddown.NoticeKeys,
    "`[[stay]]`": winddown.StayKeys,
    "`[disconnection]`": winddown.DisconnectionKeys,
}


@pytest.mark.parametrize("heading", PLAN_TABLES)
def test_the_reference_names_every_key_of_a_winddown_plan_with_its_default(heading: str) -> None:
    written = [(row[0], row[1]) for row in rows_of(read(PLAN), heading)]
    fields = msgspec.structs.fields(PLAN_TABLES[heading])
    assert written == [(f"`{field.name}`", say_default(field)) for field in fields]


def test_the_reference_names_every_gate_last_day_and_refund_of_a_winddown_plan() -> None:
    page = read(PLAN)
    gates = [(row[0].strip("`"), row[1] == "closed") for row in rows_of(page, "Gates")]
    assert gates == [(one.value, one in OPENED_BY_A_STAGE) for one in Capability]
    assert [row[0].strip("`") for row in rows_of(page, "`[last_days]`")] == sorted(PROTECTED)
    assert [row[0].strip("`") for row in rows_of(page, "`[refunds]`")] == list(ValueKind)
    policies = page.split("\n| value | |\n", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)`", policies, re.MULTILINE) == list(RefundPolicy)


TOML = [(name_of(page), block) for page in PAGES for block in blocks_of(page, "toml")]


@pytest.mark.parametrize(("page", "block"), TOML)
def test_every_toml_example_can_be_used(page: str, block: str, tmp_path: Path) -> None:
    """Price books and plans are read as such; of a configuration that is only part of one, the operator is added."""
    document = tomllib.loads(block)
    if "effective_from" in document:
        read_toml_price_list(block)
        return
    if "stage" in document:
        read_plan(block)
        return
    file = tmp_path / "onecard.toml"
    file.write_text(block if "operator" in document else block + OPERATOR, encoding="utf-8")
    assert problems_of(file) == []


def problems_of(file: Path) -> list[str]:
    """What is wrong with a configuration, but for the files it names, which are not on this machine."""
    try:
        load_config(file)
    except ConfigError as error:
        return [problem for problem in error.problems if "there is no file" not in problem]
    return []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(
        r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", page.read_text(encoding="utf-8")
    ):
        path, _, anchor = (target[0] or target[1]).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        aimed = (page.parent / path) if path else page
        assert aimed.exists(), f"{path} is missing"
        assert not anchor or anchor in anchors_of(aimed), f"{path} has no heading #{anchor}"


def anchors_of(page: Path) -> set[str]:
    """Headings as the usual renderers name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", code_of(page), re.MULTILINE)) <= targets


def code_of(page: Path) -> str:
    """What a page tells to type: its blocks for a shell, and its spans of code."""
    spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    return "\n".join([*blocks_of(page, "sh"), *spans])


REFUSALS: dict[str, Mapping[Any, CommandStatus]] = {
    "Why a text is refused": STATUS_OF_REFUSAL,
    "Why a text cannot be cancelled": STATUS_OF_CANCEL_REFUSAL,
    "Why a text cannot be replaced": STATUS_OF_REPLACE_REFUSAL,
}


@pytest.mark.parametrize("heading", REFUSALS)
def test_the_reference_gives_each_refusal_the_status_that_peers_get(heading: str) -> None:
    written = {row[0].strip("`"): row[1] for row in rows_of(read("reference/smpp.md"), heading)}
    assert written == {
        refusal.name.lower(): f"`{status.name}` 0x{status.value:02X}"
        for refusal, status in REFUSALS[heading].items()
    }


DIAMETER = "reference/diameter.md"
NCHF = "reference/nchf.md"


def test_the_reference_gives_each_result_the_code_that_diameter_peers_get() -> None:
    written = {row[0].strip("`"): row[1] for row in rows_of(read(DIAMETER), "Results")}
    assert written == {
        result.value: f"`{code.name}` {code.value}" for result, code in translate.RESULT_CODE.items()
    }


def test_the_reference_names_result_codes_of_diameter_by_their_numbers() -> None:
    written = re.findall(r"`([A-Z_]{5,})` (\d{4})\b", read(DIAMETER))
    assert written
    assert [code for code in written if ResultCode[code[0]] != int(code[1])] == []
    named = set(re.findall(r"`([A-Z][A-Z_]{4,})`", read(DIAMETER)))
    assert named <= set(ResultCode.__members__)


@pytest.mark.parametrize("heading", ["What is read", "What is answered"])
def test_the_reference_names_the_avps_of_the_dictionary_by_their_codes(heading: str) -> None:
    known = {
        (avp.name, str(avp.code)) for avp in vars(dictionary).values() if isinstance(avp, dictionary.Avp)
    }
    written = {(row[0], row[1]) for row in rows_of(read(DIAMETER), heading)}
    assert written <= known


def test_the_reference_gives_the_limits_of_diameter_and_how_much_is_granted() -> None:
    limits = {row[0]: int(row[1]) for row in rows_of(read(DIAMETER), "Limits")}
    assert limits == {
        "octets of a message": MOST_MESSAGE_OCTETS,
        "one AVP in a message or group": MOST_REPEATED,
        "requests of a peer without an answer": SessionSettings().requests_most,
        "open connections": 256,
        "answers kept for repeats": endpoint.ANSWERS_MOST,
        "seconds they are kept": int(endpoint.KEEP_SECONDS),
        "sessions, and accounts, remembered": REMEMBERED_MOST,
    }
    quotas = re.findall(r"^\| `([a-z_]+)` \| (\d+) \| (\d+) \| (\d+) \|$", read(DIAMETER), re.MULTILINE)
    assert quotas == [
        (kind, str(quota.usual), str(quota.most), str(UNITS_A_SECOND_MOST[kind]))
        for kind, quota in QUOTAS.items()
    ]


def test_the_reference_gives_each_result_what_network_functions_of_5g_get() -> None:
    groups = {row[0].strip("`"): row[1] for row in rows_of(read(NCHF), "What is answered")}
    assert groups == {result.value: f"`{group.value}`" for result, group in nchf.GROUP_RESULT.items()}
    requests = {row[0].strip("`"): (row[1], row[2]) for row in rows_of(read(NCHF), "Errors")}
    assert requests == {
        result.value: (str(status.value), f"`{cause.value}`")
        for result, (status, cause, _) in nchf.PROBLEMS.items()
    }
    causes = {cause.value for cause in Cause}
    assert set(re.findall(r"\| (?:\d+) \| `([A-Z_]+)`", read(NCHF))) <= causes


def test_the_reference_of_the_schema_has_a_heading_for_every_table() -> None:
    sql = "\n".join(migration.sql for migration in read_migrations())
    tables = set(re.findall(r"^CREATE TABLE (\w+)", sql, re.MULTILINE))
    assert set(re.findall(r"^### `(\w+)`$", read("reference/schema.md"), re.MULTILINE)) == tables | {
        "schema_migration"
    }


COMMAND = re.compile(
    r"(?<!-u )\bonecard (?:--(?:config|data|actor) \S+ )*([a-z]+)(?: ([a-z]+(?:-[a-z]+)*))?([^\n`|)]*)"
)


def commands_of(page: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    """Group, command and options of each call of the command line in the code of a page."""
    calls = COMMAND.findall(code_of(page))
    return [(group, command, tuple(re.findall(r"--[a-z-]+", rest))) for group, command, rest in calls]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    for group, name, options in commands_of(page):
        assert group in GROUPS, f"there is no `onecard {group}`"
        command: Any = typer.main.get_command(import_module(f"onecard.cli.{group}").app)
        if hasattr(command, "commands") and name:
            assert name in command.commands, f"there is no `onecard {group} {name}`"
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(options) <= known, f"`onecard {group} {name}` has no {set(options) - known}"


def test_every_page_is_reached_from_the_index() -> None:
    index = read("index.md")
    reached = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)", index)}
    assert set(DOCS.rglob("*.md")) - reached == {DOCS / "index.md"}


def test_the_reference_of_the_schema_has_every_kind_of_entry_and_notice() -> None:
    page = read("reference/schema.md")
    sql = "\n".join(migration.sql for migration in read_migrations())
    kinds = re.findall(r"^    \((\d+), '(\w+)', (?:'(\w+)'|NULL)\)[,;]", sql, re.MULTILINE)
    written = re.findall(r"^\| (\d+) \| `(\w+)` \| (\S+)", page, re.MULTILINE)
    assert written == [(number, name, other or "the") for number, name, other in kinds]
    notices = page.split("### `notice`\n", 1)[1].split("\n### ", 1)[0]
    assert re.findall(r"^\| `(\w+)` \| \w", notices, re.MULTILINE)[1:] == [kind.value for kind in NoticeKind]
