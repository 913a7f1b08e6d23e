"""Read the configuration, and find every mistake in it that can be seen without starting, each named by its place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import argon2
import msgspec

from onecard.node.config import (
    Config,
    ConfigError,
    Diameter,
    FinalUnitWish,
    Link,
    Operator,
    Portability,
    Retention,
    Tls,
    Web,
    parse_address,
)
from onecard.node.payment_config import check_payments
from onecard.retention.model import DataClass
from onecard.subscribers.rules import EMAIL
from onecard.switching.dialling import SLOT_MOST
from onecard.switching.model import LinkRole
from onecard.values.hours import BadHours, parse_hours
from onecard.values.money import BadMoney, parse_currency, parse_micros
from onecard.values.phone import BadNumber, parse_country
from onecard.values.table import BadTable

RETENTION_DAYS_MOST = 36_500


def load_config(file: Path) -> Config:
    """Read and check the file; raises ConfigError with every mistake that can be seen without starting."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        config = msgspec.convert(document, Config)
    except OSError as error:
        raise ConfigError([f"the configuration cannot be read: {error}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file} is not TOML: {error}"]) from None
    except msgspec.ValidationError as error:
        raise ConfigError([_in_words(str(error))]) from None
    problems = check_config(config)
    if problems:
        raise ConfigError(problems)
    return config


def _in_words(error: str) -> str:
    """Say where before what: `links[0].role: Invalid enum value 'bank'`."""
    what, _, where = error.partition(" - at `$")
    place = where.strip("`").lstrip(".")
    return f"{place}: {what}" if place else what


def check_config(config: Config) -> list[str]:
    """Every mistake that types cannot catch, as sentences."""
    return [
        *_check_operator(config.operator),
        *_check_addresses(config),
        *_check_web(config.web),
        *_check_names(config.links),
        *_check_portability(config.portability),
        *_check_notices(config),
        *check_payments(config.payments, config.payouts),
        *_check_retention(config.retention),
        *_check_diameter(config),
        *(
            problem
            for place, link in enumerate(config.links)
            for problem in _check_link(link, f"links[{place}]")
        ),
    ]


def _check_operator(operator: Operator) -> Iterator[str]:
    try:
        parse_country(operator.home_country)
    except BadNumber as error:
        yield f"operator.home_country: {error}"
    try:
        parse_currency(operator.currency)
    except BadMoney as error:
        yield f"operator.currency: {error}"
    try:
        parse_micros(operator.low_balance or "0")
    except BadMoney as error:
        yield f"operator.low_balance: {error}"
    try:
        ZoneInfo(operator.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"operator.time_zone: {operator.time_zone!r} is not a time zone such as America/Vancouver"
    if not operator.service_code.isdigit() or not 3 <= len(operator.service_code) <= 8:
        yield "operator.service_code: must be 3 to 8 digits"
    if not 0 <= operator.secondaries_most <= SLOT_MOST:
        yield f"operator.secondaries_most: must be 0 to {SLOT_MOST}, since a slot is dialled by one digit"
    if operator.applications_a_month_most < 0 or operator.quarantine_days < 0:
        yield "operator: applications_a_month_most and quarantine_days must not be less than 0"


def _check_addresses(config: Config) -> Iterator[str]:
    addresses = {"smpp.listen": config.smpp.listen, "http.listen": config.http.listen}
    if config.diameter:
        addresses["diameter.listen"] = config.diameter.listen
    if config.web:
        addresses["web.listen"] = config.web.listen
    diameter_tls = config.diameter.tls if config.diameter else None
    web_tls = config.web.tls if config.web else None
    tables = {"smpp": config.smpp.tls, "http": config.http.tls, "web": web_tls, "diameter": diameter_tls}
    for name, tls in tables.items():
        if tls:
            addresses[f"{name}.tls.listen"] = tls.listen
            yield from _check_files(f"{name}.tls", tls)
    for place, address in addresses.items():
        yield from _check_address(place, address)


def _check_web(web: Web | None) -> Iterator[str]:
    if web is None:
        return
    yield from _check_networks("web.proxies", web.proxies)
    if web.url is None:
        if web.tls:
            yield "web.url: must be given where there is web.tls: the name that browsers know the certificate by"
        return
    address = urlsplit(web.url)
    if address.scheme not in ("http", "https") or not address.hostname or address.path.strip("/"):
        yield f"web.url: {web.url!r} is not like https://care.example.net"


def _check_files(place: str, tls: Tls) -> Iterator[str]:
    for key, file in (("certificate", tls.certificate), ("key", tls.key)):
        if not Path(file).is_file():
            yield f"{place}.{key}: there is no file {file}"


def _check_address(place: str, address: str) -> Iterator[str]:
    try:
        parse_address(address)
    except ValueError:
        yield f"{place}: {address!r} is not host:port, such as 127.0.0.1:2775"


def _check_diameter(config: Config) -> Iterator[str]:
    wish, charging = config.charging.final_unit, config.charging
    if wish is FinalUnitWish.REDIRECT and not charging.redirect_to:
        yield "charging.redirect_to: must be given where final_unit is redirect"
    if wish is FinalUnitWish.RESTRICT and not charging.restrict_filters:
        yield "charging.restrict_filters: must be given where final_unit is restrict"
    names = [consumer.name for consumer in charging.consumers]
    for place, consumer in enumerate(charging.consumers):
        if names.count(consumer.name) > 1:
            yield f"charging.consumers[{place}].name: {consumer.name!r} is used twice"
        if len(consumer.token_hash) != 64 or not set(consumer.token_hash) <= set("0123456789abcdef"):
            yield f"charging.consumers[{place}].token_hash: is not a hash that `onecard link make-token` printed"
    if config.diameter:
        yield from _check_own_address(config.diameter)
    seen: set[str] = set()
    for place, peer in enumerate(config.diameter.peers if config.diameter else []):
        if peer.host.lower() in seen:
            yield f"diameter.peers[{place}].host: {peer.host!r} is used twice"
        seen.add(peer.host.lower())
        if peer.connect:
            yield from _check_address(f"diameter.peers[{place}].connect.address", peer.connect.address)
        yield from _check_networks(f"diameter.peers[{place}].allow", peer.allow)


def _check_own_address(diameter: Diameter) -> Iterator[str]:
    """Peers are told an IP address of ours; a name, or 0.0.0.0, is none."""
    host = diameter.address or diameter.listen.rpartition(":")[0].strip("[]")
    try:
        says_nothing = ip_address(host).is_unspecified
    except ValueError:
        says_nothing = True
    if says_nothing:
        yield f"diameter.address: must be given, since {host!r} is no IP address that peers could be told"


def _check_networks(place: str, networks: list[str]) -> Iterator[str]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            yield f"{place}: {error}"


def _check_notices(config: Config) -> Iterator[str]:
    notices = config.notices
    try:
        parse_hours(notices.awake)
    except BadHours as error:
        yield f"notices.awake: {error}"
    if notices.wording_directory is not None:
        yield from _check_wording(notices.wording_directory)
    if not notices.channels or len(set(notices.channels)) < len(notices.channels):
        yield "notices.channels: must name at least one channel, and each once"
    if min(notices.texts_a_second, notices.emails_a_second, notices.receipt_hours, notices.mail_hours) < 1:
        yield "notices: rates and hours must be at least 1"
    for place, address in (
        ("mail.sender", config.mail and config.mail.sender),
        ("notices.regulator", notices.regulator),
    ):
        if address and not EMAIL.fullmatch(address):
            yield f"{place}: {address!r} is not an e-mail address"
    if notices.regulator and config.mail is None:
        yield "notices.regulator: needs a mail server in [mail]"


def _check_wording(directory: Path) -> Iterator[str]:
    from onecard.winddown.notices.catalogue import (
        load_catalogue,  # takes a while, and few have words of their own
    )

    try:
        load_catalogue(directory)
    except BadTable as bad:
        yield from (f"notices.wording: {problem}" for problem in bad.problems)


def _check_names(links: list[Link]) -> Iterator[str]:
    for attribute in ("name", "system_id"):
        seen: set[str] = set()
        for place, link in enumerate(links):
            value = getattr(link, attribute)
            if value in seen and (attribute == "name" or link.password_hash):
                yield f"links[{place}].{attribute}: {value!r} is used twice"
            seen.add(value)


def _check_portability(portability: Portability) -> Iterator[str]:
    try:
        hours = parse_hours(portability.business_hours)
        if hours.begin >= hours.end:
            yield "portability.business_hours: must end on the day they begin"
    except BadHours as error:
        yield f"portability.business_hours: {error}"
    if portability.pin_days < 1:
        yield "portability.pin_days: must be at least 1"
    for attribute in ("name", "login"):
        values = [getattr(operator, attribute) for operator in portability.operators]
        for place, value in enumerate(values):
            if not value or value in values[:place]:
                yield f"portability.operators[{place}].{attribute}: {value!r} is empty, or used twice"
    for place, operator in enumerate(portability.operators):
        yield from _check_hash(operator.password_hash, f"portability.operators[{place}]")


def _check_retention(retention: Retention) -> Iterator[str]:
    for one in DataClass:
        days = getattr(retention, one.value)
        if len(days) != 2 or not 0 <= days[0] <= days[1] <= RETENTION_DAYS_MOST:
            yield f"retention.{one.value}: must be the least and the greatest number of days, such as [30, 400]"


def _check_link(link: Link, place: str) -> Iterator[str]:
    if not 1 <= len(link.system_id) <= 15:
        yield f"{place}.system_id: must be 1 to 15 characters (SMPP 3.4 section 5.2.1)"
    if link.connect is None and link.password_hash is None:
        yield f"{place}: give password_hash (the peer binds to us) or connect (we bind to the peer)"
    if link.password_hash is not None:
        yield from _check_hash(link.password_hash, place)
    if link.connect is not None:
        yield from _check_address(f"{place}.connect.address", link.connect.address)
    yield from _check_networks(f"{place}.allow", link.allow)
    yield from _check_routes(link, place)
    if min(link.window_in, link.window_out, link.sessions_most) < 1:
        yield f"{place}: windows and sessions_most must be at least 1"


def _check_hash(password_hash: str, place: str) -> Iterator[str]:
    try:
        argon2.extract_parameters(password_hash)
    except argon2.exceptions.InvalidHashError:
        yield f"{place}.password_hash: is not a hash that `onecard link hash-password` printed"


def _check_routes(link: Link, place: str) -> Iterator[str]:
    for prefix in link.numbers:
        if not (prefix.startswith("+") and prefix[1:].isdigit()):
            yield f"{place}.numbers: {prefix!r} is not an E.164 prefix such as +86"
    for prefix in link.cards:
        if not prefix.isdigit():
            yield f"{place}.cards: {prefix!r} is not an IMSI prefix such as 302720"
    if link.cards and link.role is not LinkRole.HOST:
        yield f"{place}.cards: only a link of role host reaches cards"
    if link.numbers and link.role is LinkRole.APPLICATION:
        yield f"{place}.numbers: a link of role application takes no texts"
