"""All pages of self-care, as one router: each knows who is signed in, and sends away who is not."""

from __future__ import annotations

from urllib.parse import quote

from litestar import Router
from litestar.di import Provide

from onecard.web.layout import Layout, Page
from onecard.web.selfcare import applying, ending, lines, money, own, porting, refund, signin
from onecard.web.selfcare.home import home
from onecard.web.selfcare.me import SignInNeeded, find_me
from onecard.web.visit import AnyRequest


def _send_to_sign_in(request: AnyRequest, _: SignInNeeded) -> Page:
    """To the page of sign-in, and from there back to what was asked for."""
    layout: Layout = request.app.state.layout
    following = "" if request.url.path == "/" else f"?next={quote(request.url.path)}"
    return layout.go(f"/sign-in{following}")


router = Router(
    path="/",
    route_handlers=[
        home,
        *lines.ROUTES,
        *applying.ROUTES,
        *money.ROUTES,
        *own.ROUTES,
        *ending.ROUTES,
        *refund.ROUTES,
        *porting.ROUTES,
    ],
    dependencies={"me": Provide(find_me)},
    exception_handlers={SignInNeeded: _send_to_sign_in},
)
ROUTES = (*signin.ROUTES, router)
