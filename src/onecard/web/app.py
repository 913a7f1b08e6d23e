"""The web as one Litestar application: who asks, safe headers, forms that only we made, errors people can read."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.exceptions import (
    ClientException,
    HTTPException,
    NotFoundException,
    PermissionDeniedException,
)
from litestar.types import ControllerRouterHandler, Message, Scope

from onecard.database.pool import DatabaseUnavailable
from onecard.web.forms import Form
from onecard.web.layout import Layout, Page, make_environment
from onecard.web.site import Site
from onecard.web.static import STATIC, static_file
from onecard.web.visit import AnyRequest, Visit, begin_visit, is_form_token, read_visit
from onecard.web.words import WORDS

log = structlog.get_logger(__name__)

BODY_OCTETS_MOST = 64 * 1024
ID_MOST = 2**63 - 1
SESSION_FIRST = "session_first"
"""What a route says whose large form is read only for who is signed in: as which `SessionKind`."""
TOKEN_FIELD = "form_token"  # noqa: S105  # the name of a field
SAFE_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = "max-age=31536000; includeSubDomains"


def make_web(site: Site, rooms: Sequence[str], routes: Sequence[ControllerRouterHandler]) -> Litestar:
    """The application of one node; `rooms` name the packages of `web` whose templates the routes render."""
    layout = Layout(site, make_environment(*rooms))

    async def begin(request: AnyRequest) -> None:
        if request.url.path.startswith(STATIC):
            return  # the same for everybody, also while the database is away
        _check_ids(request)
        request.state.visit = await begin_visit(site, request)
        if request.method not in ("GET", "HEAD"):
            _check_session(request, request.state.visit)
            await _check_form(site, request, request.state.visit)

    async def add_headers(message: Message, _: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            for name, value in SAFE_HEADERS.items():
                headers.setdefault(name, value)
            if site.is_secure:
                headers["strict-transport-security"] = HSTS

    return Litestar(
        [static_file, *routes],
        dependencies={
            "site": Provide(lambda: site, sync_to_thread=False, use_cache=True),
            "layout": Provide(lambda: layout, sync_to_thread=False, use_cache=True),
            "visit": Provide(_visit, sync_to_thread=False),
            "form": Provide(_form),
        },
        before_request=begin,
        before_send=[add_headers],
        exception_handlers={
            HTTPException: _explain,
            DatabaseUnavailable: _explain_away,
            Exception: _explain_bug,
        },
        request_max_body_size=BODY_OCTETS_MOST,
        multipart_form_part_limit=100,
        openapi_config=None,
        logging_config=None,
        state=State({"layout": layout}),
    )


def _check_session(request: AnyRequest, visit: Visit) -> None:
    """Refuse a large form of a stranger before it is read."""
    wanted = request.route_handler.opt.get(SESSION_FIRST)
    if wanted is not None and (visit.session is None or visit.session.kind is not wanted):
        raise PermissionDeniedException("session")


def _check_ids(request: AnyRequest) -> None:
    """There is nothing of a number that the database cannot hold."""
    if any(isinstance(one, int) and not 0 <= one <= ID_MOST for one in request.path_params.values()):
        raise NotFoundException


async def _check_form(site: Site, request: AnyRequest, visit: Visit) -> None:
    """Refuse a form that this browser was not given by us: another site may have made it."""
    try:
        given = (await request.form()).get(TOKEN_FIELD, "")
    except UnicodeDecodeError:
        raise ClientException("not in UTF-8") from None
    if not isinstance(given, str) or not is_form_token(site, visit, given):
        raise PermissionDeniedException("form")


def _visit(request: AnyRequest) -> Visit:
    visit: Visit = request.state.visit
    return visit


async def _form(request: AnyRequest) -> Form:
    return Form(await request.form())


def _explain(request: AnyRequest, error: HTTPException) -> Page:
    """A page that says what is wrong and what to do, in the visitor's language."""
    return _error_page(request, error.status_code)


def _explain_away(request: AnyRequest, error: DatabaseUnavailable) -> Page:
    log.warning("a page could not be made: the database is away", reason=str(error))
    return _error_page(request, 503)


def _explain_bug(request: AnyRequest, error: Exception) -> Page:
    log.error("a page failed", path=request.url.path, exc_info=error)
    return _error_page(request, 500)


def _error_page(request: AnyRequest, status: int) -> Page:
    layout: Layout = request.app.state.layout
    visit = getattr(request.state, "visit", None) or read_visit(layout.site, request)
    word = f"error.{status}" if f"error.{status}.title" in WORDS else "error.other"
    return layout.page(visit, "error.html", status=status, word=word)
