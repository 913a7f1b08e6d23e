"""Render pages: one environment of templates, the words and numbers of the visitor's language, cookies, redirects."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from litestar import Response
from litestar.datastructures import Cookie
from litestar.enums import MediaType

from onecard.values.language import Language
from onecard.web.language import OWN_NAMES
from onecard.web.site import Site
from onecard.web.static import static_url
from onecard.web.visit import LANGUAGE_COOKIE, Visit, form_token, said_cookie, session_cookie
from onecard.web.words import say
from onecard.web.writing import Writing

SAID_LENGTH_MOST = 1000
KEPT_OF_PATHS = "/?#&=+:;,@!$'()*~%[]"
"""What is not quoted in the address of another page: it was, or has a meaning there (RFC 3986 section 2.2)."""
LANGUAGE_SECONDS = 365 * 24 * 3600

Page = Response[str]


def make_environment(*rooms: str) -> Environment:
    """Templates of `web/templates`, and of each room (`selfcare`, `console`) under its name."""
    loaders = {room: PackageLoader(f"onecard.web.{room}") for room in rooms}
    return Environment(
        loader=ChoiceLoader([PackageLoader("onecard.web"), PrefixLoader(loaders)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Makes pages of one site."""

    site: Site
    environment: Environment

    def page(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Page:
        """A page in the visitor's language; what the page before left to say is said on it."""
        said = _read_said(visit.said)
        text = self.environment.get_template(template).render(
            **self._shared(visit), said=said, **{"errors": {}, **values}
        )
        response = Response(text, status_code=status, media_type=MediaType.HTML)
        response.headers["cache-control"] = "no-store"
        if visit.is_new:
            response.set_cookie(self.cookie(session_cookie(self.site), visit.token))
        if visit.said is not None:
            response.set_cookie(self.cookie(said_cookie(self.site), "", seconds=0))
        return response

    def _shared(self, visit: Visit) -> dict[str, Any]:
        writing = Writing(visit.language, self.site.operator.zone)
        return {
            "site": self.site,
            "operator": self.site.operator,
            "visit": visit,
            "form_token": form_token(self.site, visit),
            "languages": OWN_NAMES,
            "say": partial(_say, visit.language),
            "write": writing,
            "static": static_url,
        }

    def go(self, path: str, *, said: str | None = None, refused: str | None = None, **values: str) -> Page:
        """Send the browser to another page (303), and leave a word there: what was done, or why it was not."""
        assert path.startswith("/")
        assert not path.startswith("//")
        response = Response(
            "", status_code=303, media_type=MediaType.TEXT, headers={"location": quote(path, KEPT_OF_PATHS)}
        )
        if said or refused:
            word = Said(said or refused or "", bool(refused), values)
            response.set_cookie(self.cookie(said_cookie(self.site), _write_said(word), seconds=60))
        return response

    def cookie(self, name: str, value: str, *, seconds: int | None = None) -> Cookie:
        """A cookie that no script reads and no other site sends along with a form."""
        return Cookie(
            key=name,
            value=value,
            path="/",
            max_age=seconds,
            secure=self.site.is_secure,
            httponly=True,
            samesite="lax",
        )

    def keep_token(self, response: Page, token: str) -> Page:
        """Let the browser keep the token of a session that was just opened, in place of its old one."""
        response.set_cookie(self.cookie(session_cookie(self.site), token))
        return response

    def keep_language(self, response: Page, language: Language) -> Page:
        """Let the browser keep the language that was chosen."""
        response.set_cookie(self.cookie(LANGUAGE_COOKIE, language.value, seconds=LANGUAGE_SECONDS))
        return response


class Said(msgspec.Struct, frozen=True):
    """A word that one page leaves for the next."""

    key: str
    is_refusal: bool = False
    values: dict[str, str] = {}


def _say(language: Language, key: str, /, **values: object) -> str:
    return say(key, language, **values)


def _write_said(said: Said) -> str:
    return urlsafe_b64encode(msgspec.json.encode(said)).decode().rstrip("=")


def _read_said(written: str | None) -> Mapping[str, Any] | None:
    """What was left; None for a cookie that this program did not write."""
    if not written or len(written) > SAID_LENGTH_MOST:
        return None
    try:
        said = msgspec.json.decode(urlsafe_b64decode(written + "=" * (-len(written) % 4)), type=Said)
        say(said.key, Language.ENGLISH, **said.values)
    except (binascii.Error, ValueError, msgspec.MsgspecError, KeyError, IndexError, AttributeError):
        return None
    return {"key": said.key, "is_refusal": said.is_refusal, "values": said.values}
