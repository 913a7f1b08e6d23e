"""The routes for machines, as a Litestar application. Errors are problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import ASGIRouteHandler
from litestar.params import FromPath, JSONBody
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from onecard.database.pool import DatabaseUnavailable, Pool, connection
from onecard.gateways.http.credentials import read_credentials
from onecard.gateways.http.metrics import registry_of
from onecard.gateways.http.payments import ROUTES as PAYMENT_ROUTES
from onecard.gateways.http.payments import PaymentRoutes
from onecard.gateways.http.portability import ROUTES, PortRoutes
from onecard.gateways.smpp.link import Link
from onecard.lines.actions import decide_on_application
from onecard.lines.model import Application, ApplicationState, LineRefusal, Verification
from onecard.lines.store import find_application, find_part_of_application
from onecard.sealing.passwords import PasswordCheck
from onecard.switching.model import LinkRole
from onecard.switching.rules import Routes
from onecard.values.clock import Clock
from onecard.values.gate import Closed, GatesAt

BODY_OCTETS_MOST = 4096
ID_MOST = 2**63 - 1


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the home operator found: match, mismatch, five_number_limit or time_out."""

    outcome: Verification


class Decided(msgspec.Struct, frozen=True):
    """What became of the application."""

    application: int
    state: ApplicationState
    reason: str | None


def make_app(
    pool: Pool,
    links: Mapping[str, Link],
    routes: Routes,
    passwords: PasswordCheck,
    clock: Clock,
    gates: GatesAt,
    ports: PortRoutes,
    payments: PaymentRoutes,
    mounted: Sequence[ASGIRouteHandler] = (),
) -> Litestar:
    """The application for one node; `mounted` are applications that read and write ASGI themselves."""
    return Litestar(
        [health, metrics, post_outcome, *ROUTES, *PAYMENT_ROUTES, *mounted],
        state=State(
            {
                "pool": pool,
                "links": links,
                "routes": routes,
                "passwords": passwords,
                "clock": clock,
                "gates": gates,
                "ports": ports,
                "payments": payments,
                "registry": registry_of(links),
            }
        ),
        exception_handlers={
            HTTPException: _problem,
            DatabaseUnavailable: _unavailable,
            RecursionError: _too_deep,
            UnicodeDecodeError: _no_text,
        },
        request_max_body_size=BODY_OCTETS_MOST,
        openapi_config=None,
    )


@get("/health")
async def health(state: State) -> dict[str, Any]:
    """Whether the database answers, and how many sessions each link has."""
    async with connection(state.pool) as borrowed:
        await borrowed.fetchval("SELECT 1")
    return {"database": "up", "links": {name: link.bound_count for name, link in state.links.items()}}


@get("/metrics", media_type=CONTENT_TYPE_LATEST)
async def metrics(state: State) -> bytes:
    """What passed over each link, for Prometheus."""
    return generate_latest(state.registry)


@post("/verification/applications/{application_id:int}/outcome", status_code=200)
async def post_outcome(
    request: Request[Any, Any, State], state: State, application_id: FromPath[int], data: JSONBody[Outcome]
) -> Decided:
    """The home operator tells the outcome of its check. Telling the same again changes nothing."""
    link = await _authenticate(request, state)
    application = await _find_theirs(state, link, application_id)
    if application.state is ApplicationState.APPLIED:
        application = await _decide(state, link, application, data.outcome)
    if not _agrees(application, data.outcome):
        raise HTTPException(status_code=409, detail="this application was decided otherwise before")
    return Decided(application.id, application.state, application.reason)


async def _authenticate(request: Request[Any, Any, State], state: State) -> Link:
    """HTTP Basic with the system_id and password of a link of role home (RFC 7617)."""
    system_id, password = read_credentials(request.headers.get("authorization", ""))
    link: Link | None = next(
        (link for link in state.links.values() if link.settings.system_id == system_id), None
    )
    if (
        link is None
        or link.settings.password_hash is None
        or state.routes.role_of(link.settings.name) is not LinkRole.HOME
        or not await state.passwords.is_right(link.settings.password_hash, password)
    ):
        raise HTTPException(
            status_code=401,
            detail="give the system_id and password of a home operator's link",
            headers={"www-authenticate": 'Basic realm="onecard"'},
        )
    return link


async def _find_theirs(state: State, link: Link, application_id: int) -> Application:
    """An application for a number of this operator's; others it does not even learn of."""
    found = await _find(state, application_id) if 0 < application_id <= ID_MOST else None
    if found is None or not state.routes.serves(link.settings.name, found.msisdn):
        raise HTTPException(status_code=404, detail="there is no such application for your numbers")
    return found


async def _find(state: State, application_id: int) -> Application | None:
    async with connection(state.pool) as borrowed:
        part = await find_part_of_application(borrowed, application_id)
        return None if part is None else await find_application(borrowed, part, application_id)


async def _decide(state: State, link: Link, application: Application, outcome: Verification) -> Application:
    now = state.clock.now()
    async with connection(state.pool) as borrowed:
        decided = await decide_on_application(
            borrowed,
            now,
            actor=f"link:{link.settings.name}",
            gates=state.gates(now),
            part=application.part,
            application_id=application.id,
            verification=outcome,
        )
    if decided is LineRefusal.ALREADY_DECIDED:  # by someone else, just now
        return await _find_theirs(state, link, application.id)
    if isinstance(decided, Closed):
        detail = f"no line is made any more: {decided.stage!r} of the order to stop has come"
        raise HTTPException(status_code=409, detail=detail)
    if isinstance(decided, LineRefusal):
        raise HTTPException(status_code=409, detail=decided.value)
    return decided


def _agrees(application: Application, outcome: Verification) -> bool:
    if application.state is ApplicationState.APPROVED:
        return outcome is Verification.MATCH
    return application.reason in (outcome.value, Verification.TIME_OUT.value)


def _problem(_: Request[Any, Any, State], error: HTTPException) -> Response[dict[str, Any]]:
    return Response(
        {"status": error.status_code, "detail": error.detail},
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=error.headers,
    )


def _unavailable(_: Request[Any, Any, State], _error: DatabaseUnavailable) -> Response[dict[str, Any]]:
    return Response(
        {"status": 503, "detail": "the database is away; try again"},
        status_code=503,
        media_type="application/problem+json",
    )


def _no_text(_: Request[Any, Any, State], _error: UnicodeDecodeError) -> Response[dict[str, Any]]:
    return Response(
        {"status": 400, "detail": "the body is not in UTF-8"},
        status_code=400,
        media_type="application/problem+json",
    )


def _too_deep(_: Request[Any, Any, State], _error: RecursionError) -> Response[dict[str, Any]]:
    """The JSON decoder gave up on a body of nothing but brackets."""
    return Response(
        {"status": 400, "detail": "the body is nested too deeply"},
        status_code=400,
        media_type="application/problem+json",
    )
