"""The configuration: every mistake is named by its place, and all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from onecard.node.config import ConfigError, Web, passwords
from onecard.node.config_reading import load_config
from onecard.sealing.passwords import hash_password
from onecard.switching.model import LinkRole

HASH = hash_password("s3cret")
GOOD = f"""
[operator]
name = "Maple Bridge"
home_country = "CA"
currency = "CAD"
time_zone = "America/Vancouver"

[[links]]
name = "host"
role = "host"
system_id = "maple"
connect = {{ address = "[::1]:2775", password_variable = "HOST_PASSWORD" }}
cards = ["302990"]
numbers = ["+1"]

[[links]]
name = "bank"
role = "application"
system_id = "bank"
password_hash = "{HASH}"
allow = ["192.0.2.0/24"]
"""


def problems_of(directory: Path, *changes: tuple[str, str]) -> list[str]:
    """What is found wrong with the good configuration after these replacements."""
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = directory / "onecard.toml"
    file.write_text(text, encoding="utf-8")
    try:
        load_config(file)
    except ConfigError as error:
        return error.problems
    return []


def test_a_good_configuration_is_read_whole(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []
    config = load_config(tmp_path / "onecard.toml")
    assert [(link.name, link.role) for link in config.links] == [
        ("host", LinkRole.HOST),
        ("bank", LinkRole.APPLICATION),
    ]
    assert (config.connects("host"), config.connects("bank")) == (True, False)
    assert passwords(config, {"HOST_PASSWORD": "word"}) == {"host": "word"}


@pytest.mark.parametrize(
    ("old", "new", "begins"),
    [
        ('home_country = "CA"', 'home_country = "XX"', "operator.home_country: "),
        ('currency = "CAD"', 'currency = "DOLLAR"', "operator.currency: "),
        ('"America/Vancouver"', '"America/Nowhere"', "operator.time_zone: "),
        ('"America/Vancouver"', '"../../etc/passwd"', "operator.time_zone: "),
        ('"America/Vancouver"', '"America/Vancouver"\nservice_code = "12x"', "operator.service_code: "),
        ('"America/Vancouver"', '"America/Vancouver"\nsecondaries_most = "3"', "operator.secondaries_most: "),
        ('"America/Vancouver"', '"America/Vancouver"\nsecondaries_most = 10', "operator.secondaries_most: "),
        ('"America/Vancouver"', '"America/Vancouver"\nquarantine_days = -1', "operator: "),
        ('name = "Maple Bridge"\n', "", "operator: "),
        ("[operator]", '[notices]\nawake = "always"\n[operator]', "notices.awake: "),
        ("[operator]", "[notices]\nchannels = []\n[operator]", "notices.channels: "),
        ("[operator]", '[notices]\nchannels = ["text", "text"]\n[operator]', "notices.channels: "),
        ("[operator]", "[notices]\ntexts_a_second = 0\n[operator]", "notices: "),
        (
            "[operator]",
            '[notices]\nregulator = "a@b.ca"\n[operator]',
            "notices.regulator: needs a mail server",
        ),
        ("[operator]", '[mail]\nhost = "mail"\nsender = "us"\n[operator]', "mail.sender: "),
        ("[operator]", "nonsense = 1\n[operator]", "Object contains unknown field"),
        ("[operator]", '[smpp]\nlisten = "2775"\n[operator]', "smpp.listen: "),
        ("[operator]", '[smpp]\nlisten = "127.0.0.1:99999"\n[operator]', "smpp.listen: "),
        ("[operator]", '[http]\nlisten = "127.0.0.1:http"\n[operator]', "http.listen: "),
        ('address = "[::1]:2775"', 'address = "::1"', "links[0].connect.address: "),
        ('role = "application"', 'role = "shop"', "links[1].role: "),
        ('system_id = "maple"', 'system_id = ""', "links[0].system_id: "),
        ('system_id = "maple"', 'system_id = "sixteen-letters-"', "links[0].system_id: "),
        ('name = "bank"', 'name = "host"', "links[1].name: "),
        ('system_id = "bank"', 'system_id = "maple"', "links[1].system_id: "),
        (f'password_hash = "{HASH}"', 'password_hash = "s3cret"', "links[1].password_hash: "),
        (f'password_hash = "{HASH}"', "", "links[1]: "),
        ('allow = ["192.0.2.0/24"]', 'allow = ["192.0.2.1/24"]', "links[1].allow: "),
        ('allow = ["192.0.2.0/24"]', 'allow = ["bank.example"]', "links[1].allow: "),
        ('allow = ["192.0.2.0/24"]', "window_in = 0", "links[1]: "),
        ('allow = ["192.0.2.0/24"]', 'numbers = ["+86"]', "links[1].numbers: "),
        ('allow = ["192.0.2.0/24"]', 'cards = ["460"]', "links[1].cards: "),
        ('numbers = ["+1"]', 'numbers = ["001"]', "links[0].numbers: "),
        ('cards = ["302990"]', 'cards = ["3029x"]', "links[0].cards: "),
        ("[operator]", "[operator", "{file} is not TOML: "),
    ],
)
def test_a_mistake_is_named_by_its_place(tmp_path: Path, old: str, new: str, begins: str) -> None:
    [problem] = problems_of(tmp_path, (old, new))
    assert problem.startswith(begins.format(file=tmp_path / "onecard.toml"))
    assert "s3cret" not in problem


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        ('currency = "CAD"', 'currency = "DOLLAR"'),
        ('numbers = ["+1"]', 'numbers = ["1"]'),
        ('name = "bank"', 'name = "host"'),
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "operator.currency",
        "links[1].name",
        "links[0].numbers",
    ]


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    tls = f"""[smpp.tls]
listen = "127.0.0.1:3550"
certificate = "{tmp_path}/none.pem"
key = "{tmp_path}/none.key"
[operator]"""
    problems = problems_of(tmp_path, ("[operator]", tls))
    assert [problem.partition(":")[0] for problem in problems] == ["smpp.tls.certificate", "smpp.tls.key"]
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_a_password_is_read_from_a_file_or_the_environment_and_missed_by_its_name(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []
    with pytest.raises(ConfigError, match="HOST_PASSWORD is not set"):
        passwords(load_config(tmp_path / "onecard.toml"), {})
    secret = tmp_path / "secret"
    problems_of(tmp_path, ('password_variable = "HOST_PASSWORD"', f'password_file = "{secret}"'))
    with pytest.raises(ConfigError, match="the password cannot be read"):
        passwords(load_config(tmp_path / "onecard.toml"), {})
    secret.write_text("word\n", encoding="utf-8")
    assert passwords(load_config(tmp_path / "onecard.toml"), {}) == {"host": "word"}


def test_words_of_notices_that_are_not_whole_are_named(tmp_path: Path) -> None:
    (tmp_path / "fr.po").write_text('msgid "stops.voice"\nmsgstr "{appels}"\n', encoding="utf-8")
    wording = f'[notices]\nwording = "{tmp_path}"\n[operator]'
    problems = problems_of(tmp_path, ("[operator]", wording))
    assert problems == ["notices.wording: stops.voice in fr: the placeholder {appels} is not known here"]


@pytest.mark.parametrize(
    ("table", "places"),
    [
        ('listen = "127.0.0.1:8090"', []),
        ('url = "https://care.example.net/"', []),
        ('listen = "8090"', ["web.listen"]),
        ('url = "care.example.net"', ["web.url"]),
        ('url = "https://care.example.net/self"', ["web.url"]),
        ('proxies = ["localhost"]', ["web.proxies"]),
        (
            'tls = { listen = "0.0.0.0:443", certificate = "c", key = "k" }',
            [
                "web.url",
                "web.tls.certificate",
                "web.tls.key",
            ],
        ),
    ],
)
def test_mistakes_of_the_web_are_named_by_their_place(tmp_path: Path, table: str, places: list[str]) -> None:
    problems = problems_of(tmp_path, ("[operator]", f"[web]\n{table}\n[operator]"))
    assert sorted(problem.partition(":")[0] for problem in problems) == sorted(places)


def test_the_pages_are_at_the_address_they_listen_on_unless_another_is_given() -> None:
    assert Web(listen="127.0.0.1:8090").address == "http://localhost:8090"
    assert Web(url="https://care.example.net/").address == "https://care.example.net"
