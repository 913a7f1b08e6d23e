"""Who may ask for charging: network functions with a bearer token, and where each may be notified."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

TOKEN_BYTES = 32
URI_CHARACTERS_MOST = 512


@dataclass(frozen=True, slots=True)
class Consumer:
    """A network function, or a group of them behind one proxy, that charges through us."""

    name: str
    token_hash: str
    """As `hash_token` makes it."""
    notify_hosts: frozenset[str] = frozenset()
    """Hosts that its notifyUri may name; none: it is not notified."""
    notify_http2: bool = True
    """Whether it is notified over HTTP/2, without TLS by prior knowledge."""
    requests_most: int = 1000
    """Requests without an answer; over it the consumer is told to come later."""


def hash_token(token: str) -> str:
    """The hash to write into the configuration. A token is random, so no slow hash is needed to hide it."""
    return sha256(token.encode()).hexdigest()


def make_token() -> str:
    """A new token for a consumer."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Consumers:
    """All consumers, found by their token."""

    def __init__(self, consumers: Iterable[Consumer]) -> None:
        self._by_hash = {consumer.token_hash: consumer for consumer in consumers}

    def find(self, authorization: bytes) -> Consumer | None:
        """Who sends this Authorization header (RFC 6750 section 2.1)."""
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        return self._by_hash.get(sha256(token.strip()).hexdigest())


def may_notify(consumer: Consumer, uri: str) -> bool:
    """Whether an address is one that this consumer may have us call."""
    if len(uri) > URI_CHARACTERS_MOST or not uri.isascii() or not uri.isprintable():
        return False
    try:
        parts = urlsplit(uri)
        has_port = parts.port != 0
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and has_port
        and parts.hostname in consumer.notify_hosts
    )
