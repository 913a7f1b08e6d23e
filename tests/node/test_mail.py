"""E-mails to a real SMTP server: kept from others' eyes, signed in, and lost by none of its troubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

import shop
from gateways.smpp.peers.certificates import Certificates, make_certificates
from onecard.node.config import Mail, MailSecurity
from onecard.node.mail import Email, Mailed, Mailer
from onecard.winddown.notices.model import Result

SECRET = "s3cret"


def make_email(to: str = "wang@example.com", body: str = "终止\n") -> Email:
    return Email(to, "标题", body, "zh-Hans", "1.1.1.0.1")


class Server:
    """Keeps what it takes; hangs up on an address."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.port = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if address.startswith("hang-up"):
            assert server.transport is not None
            server.transport.close()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if b"spam" in envelope.content:
            return "554 5.7.1 spam"
        self.taken.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"


def check_login(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
) -> AuthResult:
    assert isinstance(given, LoginPassword)
    return AuthResult(success=given.password == SECRET.encode(), handled=False)


@asynccontextmanager
async def open_server(**options: Any) -> AsyncIterator[Server]:
    handler = Server()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0)
    handler.port = int(listening.sockets[0].getsockname()[1])
    yield handler
    listening.close()


def make_mailer(server: Server, password: str = SECRET, **changes: Any) -> Mailer:
    config = Mail("127.0.0.1", "notices@maple.example", port=server.port, timeout_seconds=5.0, **changes)
    return Mailer(config, password, name="Maple Bridge 枫桥")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


def secured(certificates: Certificates) -> dict[str, Any]:
    return {
        "tls_context": certificates.server_context(),
        "require_starttls": True,
        "auth_required": True,
        "authenticator": check_login,
    }


async def test_e_mails_go_under_tls_by_a_login(certificates: Certificates) -> None:
    async with open_server(**secured(certificates)) as server:
        mailer = make_mailer(server, login="maple", tls_ca=str(certificates.authority))
        assert await mailer.send([make_email()], shop.AT) == [Mailed(Result.ACCEPTED, "250")]
        [(to, content)] = server.taken
        assert to == "wang@example.com"
        assert b"Auto-Submitted: auto-generated" in content
        assert b"Date: Tue, 10 Mar 2026 12:00:00 +0000" in content


async def test_nothing_goes_to_a_server_whose_certificate_is_not_trusted(certificates: Certificates) -> None:
    async with open_server(**secured(certificates)) as server:
        [answer] = await make_mailer(server, login="maple").send([make_email()], shop.AT)
        assert (answer.result, server.taken) == (Result.FAILED, [])


async def test_nothing_goes_in_the_clear_unless_that_is_configured() -> None:
    async with open_server() as server:
        [answer] = await make_mailer(server).send([make_email()], shop.AT)
        assert (answer.result, server.taken) == (Result.FAILED, [])
        [answer] = await make_mailer(server, security=MailSecurity.NONE).send([make_email()], shop.AT)
        assert answer.result is Result.ACCEPTED


async def test_a_wrong_password_is_a_failure_for_the_moment(certificates: Certificates) -> None:
    async with open_server(**secured(certificates)) as server:
        mailer = make_mailer(server, "wrong", login="maple", tls_ca=str(certificates.authority))
        answers = await mailer.send([make_email(), make_email()], shop.AT)
        assert answers == [Mailed(Result.FAILED, "535 5.7.8")]


async def test_answers_end_where_the_server_hangs_up() -> None:
    async with open_server() as server:
        mailer = make_mailer(server, security=MailSecurity.NONE)
        emails = [make_email(), make_email("hang-up@example.com"), make_email()]
        answers = await mailer.send(emails, shop.AT)
        assert [answer.result for answer in answers] == [Result.ACCEPTED, Result.FAILED]


async def test_one_e_mail_that_is_refused_does_not_stop_the_next() -> None:
    async with open_server() as server:
        mailer = make_mailer(server, security=MailSecurity.NONE)
        spam = Email("a@example.com", "spam", "x", "en", "1")
        foreign = make_email("王@example.com")
        answers = await mailer.send([spam, foreign, make_email()], shop.AT)
        assert [answer.result for answer in answers] == [Result.REFUSED, Result.REFUSED, Result.ACCEPTED]
        assert answers[0].detail == "554 5.7.1"


@pytest.mark.parametrize("address", ["=?utf-8?q?@^a?=.com", "=?utf-8?q?=0D=0Aa?=@example.com"])
async def test_an_address_that_no_header_can_hold_does_not_stop_the_next(address: str) -> None:
    async with open_server() as server:
        mailer = make_mailer(server, security=MailSecurity.NONE)
        answers = await mailer.send([make_email(address), make_email()], shop.AT)
        assert [answer.result for answer in answers] == [Result.REFUSED, Result.ACCEPTED]
