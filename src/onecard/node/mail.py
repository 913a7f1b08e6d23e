"""Hand e-mails to the mail server, and say of each what became of it there."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr
from pathlib import Path

import aiosmtplib
import structlog

from onecard.node.config import Mail, MailSecurity
from onecard.winddown.notices.model import Result

log = structlog.get_logger(__name__)

_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")  # RFC 3463


@dataclass(frozen=True, slots=True)
class Email:
    """One e-mail; `reference` makes its Message-ID, by which a bounce names it."""

    to: str
    subject: str
    body: str
    language: str
    reference: str


@dataclass(frozen=True, slots=True)
class Mailed:
    """What the mail server answered: ACCEPTED, REFUSED for good or FAILED for the moment, with its codes.

    The words of an answer are left out: mail servers repeat the address in them.
    """

    result: Result
    detail: str


class Mailer:
    """Sends e-mails, one connection for as many as are given together."""

    def __init__(self, config: Mail, password: str, *, name: str) -> None:
        self._config = config
        self._password = password
        self._from = formataddr((name, config.sender))
        self._domain = config.sender.rpartition("@")[2]

    async def send(self, emails: Sequence[Email], at: datetime) -> list[Mailed]:
        """Send in order. Where the server goes away the answers end: the e-mails after them were not tried."""
        answers: list[Mailed] = []
        client = self._make_client()
        try:
            async with client:
                for email in emails:
                    answers.append(await self._send_one(client, email, at))  # noqa: PERF401
        except (aiosmtplib.SMTPException, OSError) as error:
            log.warning("the mail server is away, or does not take us", reason=type(error).__name__)
            if len(answers) < len(emails):
                answers.append(Mailed(Result.FAILED, _codes(error)))
        return answers

    def _make_client(self) -> aiosmtplib.SMTP:
        config = self._config
        is_open = config.security is MailSecurity.NONE
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            username=config.login,
            password=self._password if config.login else None,
            timeout=config.timeout_seconds,
            use_tls=config.security is MailSecurity.TLS,
            start_tls=config.security is MailSecurity.STARTTLS,
            tls_context=None if is_open else _trust(config.tls_ca),
        )

    async def _send_one(self, client: aiosmtplib.SMTP, email: Email, at: datetime) -> Mailed:
        """One e-mail's answer; what is not about this e-mail is raised."""
        try:
            await client.send_message(self._write(email, at))
        except aiosmtplib.SMTPRecipientsRefused as refused:
            [recipient] = refused.recipients
            return _read_refusal(recipient)
        except aiosmtplib.SMTPDataError as refused:
            return _read_refusal(refused)
        except (
            aiosmtplib.SMTPNotSupported,
            ValueError,
            IndexError,
        ) as error:  # an address that this server cannot be told, or no header can hold
            return Mailed(Result.REFUSED, type(error).__name__)
        return Mailed(Result.ACCEPTED, "250")

    def _write(self, email: Email, at: datetime) -> EmailMessage:
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._from
        message["To"] = email.to
        message["Subject"] = email.subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<notice.{email.reference}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes, please
        message.set_content(email.body, cte="base64")
        message["Content-Language"] = email.language
        return message


def _trust(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=Path(authorities) if authorities else None)


def _read_refusal(refused: aiosmtplib.SMTPResponseException) -> Mailed:
    result = Result.REFUSED if 500 <= refused.code < 600 else Result.FAILED
    return Mailed(result, _codes(refused))


def _codes(error: Exception) -> str:
    """The codes of an answer: ``550 5.1.1``; the kind of failure where there was none."""
    if not isinstance(error, aiosmtplib.SMTPResponseException):
        return type(error).__name__
    enhanced = _ENHANCED.search(error.message)
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)
