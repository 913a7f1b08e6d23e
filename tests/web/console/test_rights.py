"""Every route and every role: who gets in, and who is told that they may not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from litestar.handlers import HTTPRouteHandler

import shop
from onecard.database.pool import Database, connection
from onecard.staff.model import Permission, Role
from onecard.staff.rules import PERMISSIONS
from onecard.web.app import SESSION_FIRST
from onecard.web.console.desk import PERMISSION, ROOMS
from onecard.web.console.rooms import PUBLIC_ROUTES, ROUTES
from web.console.clerk import Clerk, at_console
from web.pages import browse, make_site

NEEDED = {
    "GET /console": "see_overview",
    "GET /console/figures": "see_overview",
    "GET /console/charts/traffic.svg": "see_overview",
    "GET /console/charts/codes.svg": "see_overview",
    "GET /console/me": None,
    "POST /console/me/sign-out-elsewhere": None,
    "GET /console/me/passkeys": None,
    "POST /console/me/passkeys": None,
    "POST /console/me/passkeys/x/remove": None,
    "POST /console/sign-out": None,
    "GET /console/subscribers": "see_subscribers",
    "GET /console/subscribers/1": "see_subscribers",
    "GET /console/cards/1": "see_subscribers",
    "POST /console/subscribers/1/contact": "read_contact",
    "POST /console/subscribers/1/lines/1/switch": "change_lines",
    "GET /console/applications": "see_applications",
    "POST /console/applications/1/decide": "decide_applications",
    "GET /console/stock": "see_stock",
    "GET /console/stock/numbers": "see_stock",
    "GET /console/stock/sims": "see_stock",
    "POST /console/stock/sims/import": "import_stock",
    "POST /console/stock/numbers/import": "import_stock",
    "GET /console/prices": "see_prices",
    "GET /console/prices/1": "see_prices",
    "GET /console/prices/diff": "see_prices",
    "POST /console/prices/check": "import_prices",
    "POST /console/prices/import": "import_prices",
    "GET /console/links": "see_links",
    "GET /console/links/table": "see_links",
    "GET /console/charts/links.svg": "see_links",
    "GET /console/traces": "see_traces",
    "GET /console/refunds": "see_refunds",
    "GET /console/refunds/1": "see_refunds",
    "POST /console/refunds/1/payee": "approve_refunds",
    "POST /console/refunds/1/payee/change": "request_refunds",
    "POST /console/refunds/1/verify": "request_refunds",
    "POST /console/refunds/1/approve": "approve_refunds",
    "POST /console/refunds/1/reject": "approve_refunds",
    "POST /console/refunds/1/cancel": "request_refunds",
    "POST /console/refunds/1/retry": "request_refunds",
    "POST /console/subscribers/1/refund": "request_refunds",
    "GET /console/payouts": "see_refunds",
    "GET /console/payouts/1": "see_refunds",
    "POST /console/payouts": "run_payouts",
    "POST /console/payouts/1/release": "run_payouts",
    "POST /console/payouts/1/withdraw": "run_payouts",
    "POST /console/payouts/lines/1/resolve": "run_payouts",
    "POST /console/payouts/1/file": "run_payouts",
    "POST /console/payouts/answers": "run_payouts",
    "GET /console/books": "see_books",
    "POST /console/books/reconcile": "see_books",
    "POST /console/books/closing": "see_books",
    "GET /console/books/statements/x": "see_books",
    "GET /console/winddown": "see_winddown",
    "GET /console/winddown/versions/1": "see_winddown",
    "POST /console/winddown/versions": "propose_plans",
    "POST /console/winddown/versions/1/approve": "approve_plans",
    "POST /console/winddown/versions/1/withdraw": "propose_plans",
    "POST /console/winddown/start": "approve_plans",
    "GET /console/winddown/ports": "change_port_outs",
    "POST /console/winddown/ports/1/move": "change_port_outs",
    "GET /console/audit": "see_audit",
    "GET /console/exports": "export",
    "GET /console/exports/usage.csv": "export",
    "GET /console/exports/x": "export",
    "GET /console/staff": "manage_staff",
    "POST /console/staff": "manage_staff",
    "POST /console/staff/x/reset": "manage_staff",
    "POST /console/staff/x/roles": "manage_staff",
    "POST /console/staff/x/deactivate": "manage_staff",
}


def name_of(route: HTTPRouteHandler) -> str:
    """Method and path, with something in place of each parameter."""
    [path] = route.paths
    [method] = route.http_methods - {"OPTIONS", "HEAD"}
    filled = re.sub(r"{\w+:int}", "1", re.sub(r"{\w+:str}", "x", path))
    return f"{method} {filled}"


def test_every_route_is_in_the_table_with_the_permission_it_takes() -> None:
    declared = {name_of(route): route.opt[PERMISSION] for route in ROUTES}
    assert declared == {route: permission and Permission(permission) for route, permission in NEEDED.items()}
    assert all(PERMISSION not in route.opt for route in PUBLIC_ROUTES)
    assert {room.path for room in ROOMS} <= {route.removeprefix("GET ") for route in NEEDED}


@pytest.fixture(params=list(Role))
async def clerk(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Clerk]:
    async with connection(database.pool) as borrowed:
        await shop.open_shop(borrowed)
    async with at_console(database, "bob", request.param) as clerk:
        yield clerk


async def test_each_role_reaches_what_it_may_and_nothing_else(clerk: Clerk) -> None:
    async with connection(clerk.site.pool) as borrowed:
        roles = await borrowed.fetchval("SELECT roles FROM staff WHERE login = 'bob'")
    may = PERMISSIONS[Role(roles[0])]
    for route, permission in NEEDED.items():
        method, path = route.split()
        if route == "POST /console/sign-out":
            continue  # the others need the session
        answer = await (clerk.send(path) if method == "POST" else clerk.browser.get(path))
        is_allowed = permission is None or Permission(permission) in may
        assert (answer.status_code != 403) is is_allowed, (roles, route, answer.status_code)
        assert answer.status_code < 500, (roles, route)
        if not is_allowed:
            assert "Nothing was done" in answer.text


async def test_the_navigation_leads_only_where_one_may_go(clerk: Clerk) -> None:
    page = await clerk.see("/console")
    rooms = re.search(r'<nav class="rooms".*?</nav>', page, re.DOTALL)
    assert rooms
    for path in re.findall(r'href="([^"]+)"', rooms[0]):
        await clerk.see(path)


async def test_who_is_not_signed_in_reaches_nothing(database: Database) -> None:
    async with browse(make_site(database)) as browser:
        for route in NEEDED:
            method, path = route.split()
            answer = await browser.request(method, path)
            assert answer.status_code == (403 if method == "POST" else 303), route


async def test_a_form_without_its_token_does_nothing(database: Database) -> None:
    async with at_console(database, "bob", *Role) as clerk:
        for route in NEEDED:
            method, path = route.split()
            if method == "POST":
                for fields in ({}, {"form_token": "0" * 64}):
                    answer = await clerk.browser.post(path, data={**fields, "reason": "x", "on": "no"})
                    assert answer.status_code == 403, route
                    assert "Nothing was changed" in answer.text
        async with connection(database.pool) as borrowed:
            acts = await borrowed.fetch("SELECT action FROM audit WHERE actor = 'staff:bob' ORDER BY id")
    assert [row["action"] for row in acts] == ["enrol_staff", "sign_in"]


async def test_a_strangers_file_is_not_even_read(database: Database) -> None:
    uploads = {name_of(route) for route in ROUTES if SESSION_FIRST in route.opt}
    assert uploads == {
        "POST /console/stock/sims/import",
        "POST /console/stock/numbers/import",
        "POST /console/prices/check",
        "POST /console/prices/import",
        "POST /console/winddown/versions",
        "POST /console/payouts/answers",
    }
    async with browse(make_site(database)) as browser:
        large = b"x" * 1_000_000
        for route in uploads:
            answer = await browser.post(route.split()[1], files={"file": ("x.csv", large, "text/csv")})
            assert answer.status_code == 403, route
