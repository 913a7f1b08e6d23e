"""One request as pages see it: who, in which language, from where, and the token that its forms must bring back."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Any

from litestar import Request

from onecard.database.pool import connection
from onecard.subscribers.model import Subscriber
from onecard.subscribers.store import find_subscriber
from onecard.values.language import Language
from onecard.web.language import choose_language
from onecard.web.sessions import Session, SessionKind, find_session, new_token
from onecard.web.site import Site

AnyRequest = Request[Any, Any, Any]

TOKEN_LENGTH_MOST = 64
SITE_BITS = 64
"""Of an IPv6 address, what is one customer's (RFC 6177)."""
LANGUAGE_COOKIE = "language"
PURPOSE = b"web forms"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of one browser. A visitor has a token too, before there is a session: their forms are bound to it."""

    at: datetime
    address: str
    token: str
    is_new: bool
    """The browser does not have the token yet."""
    language: Language
    path: str
    said: str | None = None
    """What the page before left to say, as `layout.leave_word` wrote it."""
    session: Session | None = None
    subscriber: Subscriber | None = None
    """Whose session it is, where it is a subscriber's."""


def session_cookie(site: Site) -> str:
    """The cookie's name: with TLS browsers hold it to this host and path (RFC 6265bis section 4.1.3.2)."""
    return "__Host-onecard" if site.is_secure else "onecard"


def said_cookie(site: Site) -> str:
    return "__Host-said" if site.is_secure else "said"


async def begin_visit(site: Site, request: AnyRequest) -> Visit:
    """Look at a request, and find the session that it belongs to."""
    visit = read_visit(site, request)
    if visit.is_new:
        return visit
    async with connection(site.pool) as borrowed:
        session = await find_session(borrowed, visit.at, visit.token)
        if session is None or session.kind is not SessionKind.SUBSCRIBER:
            return replace(visit, session=session)
        subscriber = await find_subscriber(borrowed, session.part, session.person_id)
    assert subscriber is not None  # nothing deletes subscribers
    return replace(visit, session=session, subscriber=subscriber, language=subscriber.language)


def read_visit(site: Site, request: AnyRequest) -> Visit:
    """What can be known of a request without the database."""
    token = request.cookies.get(session_cookie(site), "")
    is_new = not 0 < len(token) <= TOKEN_LENGTH_MOST
    language = choose_language(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language"),
    )
    return Visit(
        at=site.clock.now(),
        address=find_address(site, request),
        token=new_token() if is_new else token,
        is_new=is_new,
        language=language,
        path=request.url.path,
        said=request.cookies.get(said_cookie(site)),
    )


def find_address(site: Site, request: AnyRequest) -> str:
    """Who asks: the last address in X-Forwarded-For that is not one of our proxies', where one of them says it.

    Of IPv6 it is the network of one customer: they have more addresses than attempts could ever be counted for.
    """
    address = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    while _is_proxy(site, address) and forwarded and forwarded[-1].strip():
        address = forwarded.pop().strip()
    return _network_of(address[:45])


def _network_of(address: str) -> str:
    try:
        place = ip_address(address)
    except ValueError:
        return address
    if isinstance(place, IPv4Address):
        return address
    return str(place.ipv4_mapped or IPv6Network((int(place), SITE_BITS), strict=False))


def _is_proxy(site: Site, address: str) -> bool:
    try:
        place = ip_address(address)
    except ValueError:
        return False
    return any(place in network for network in site.proxies)


def form_token(site: Site, visit: Visit) -> str:
    """The hidden field of every form: of this browser's token, and nobody else can make it."""
    return hmac.new(site.master.derive(PURPOSE), visit.token.encode(), sha256).hexdigest()


def is_form_token(site: Site, visit: Visit, given: str) -> bool:
    """Whether a form was made for this very browser."""
    return not visit.is_new and hmac.compare_digest(form_token(site, visit).encode(), given.encode())
