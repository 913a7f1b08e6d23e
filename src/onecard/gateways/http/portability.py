"""Gaining operators ask for numbers of ours, and for what became of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from onecard.database.pool import Connection, connection
from onecard.gateways.http.credentials import read_credentials
from onecard.portability.actions import request_port_out
from onecard.portability.model import PortFailure, PortOut, PortRefusal, PortState, PortTerms, Proof
from onecard.portability.store import find_port
from onecard.sealing.keys import MasterKey
from onecard.values.gate import Closed
from onecard.values.phone import BadNumber, parse_msisdn

ID_MOST = 2**63 - 1


class GainingOperator(Protocol):
    """An operator that may ask for numbers, as the configuration has it."""

    @property
    def name(self) -> str: ...
    @property
    def login(self) -> str: ...
    @property
    def password_hash(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PortRoutes:
    """What the routes of port-outs need beside what all routes have."""

    operators: Sequence[GainingOperator]
    master: MasterKey
    load_terms: Callable[[Connection], Awaitable[PortTerms]]


class PortWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number, the PIN that its subscriber gave, and what the gaining operator calls this request."""

    number: Annotated[str, msgspec.Meta(max_length=40)]
    pin: Annotated[str, msgspec.Meta(max_length=40)]
    reference: Annotated[str, msgspec.Meta(max_length=200)]


class PortAnswer(msgspec.Struct, frozen=True):
    """What has become of a request."""

    port_out: int
    number: str
    reference: str
    state: PortState
    failure: PortFailure | None
    due_at: datetime
    ended_at: datetime | None


STATUS_OF_REFUSAL = {
    # Whether a number is one of ours is nobody's business who does not know its PIN.
    PortRefusal.UNKNOWN_NUMBER: (403, "the number and the PIN do not fit each other"),
    PortRefusal.WRONG_PIN: (403, "the number and the PIN do not fit each other"),
    PortRefusal.LOCKED: (429, "too many wrong PINs were tried: try again in an hour"),
    PortRefusal.ALREADY_PORTING: (409, "the number is on its way to an operator already"),
    PortRefusal.CONFLICTING_REFERENCE: (409, "another number was asked for under this reference"),
    PortRefusal.BAD_REFERENCE: (400, "a reference is 1 to 60 characters that can be printed"),
}


@post("/portability/port-outs", status_code=200)
async def post_port_out(
    request: Request[Any, Any, State], state: State, data: JSONBody[PortWish]
) -> PortAnswer:
    """An operator asks for a number. Asking the same again changes nothing and tells what has become of it."""
    operator = await _authenticate(request, state)
    ports: PortRoutes = state.ports
    now = state.clock.now()
    try:
        msisdn = parse_msisdn(data.number)
    except BadNumber as error:
        raise HTTPException(status_code=400, detail=str(error)) from None
    async with connection(state.pool) as borrowed:
        outcome = await request_port_out(
            borrowed,
            now,
            actor=f"operator:{operator.login}",
            master=ports.master,
            gates=state.gates(now),
            msisdn=msisdn,
            gaining=operator.name,
            reference=data.reference,
            proof=Proof.PIN,
            pin=data.pin,
            terms=await ports.load_terms(borrowed),
        )
    return _answer(outcome)


@get("/portability/port-outs/{port_id:int}")
async def get_port_out(request: Request[Any, Any, State], state: State, port_id: FromPath[int]) -> PortAnswer:
    """An operator asks what has become of its own request."""
    operator = await _authenticate(request, state)
    found = None
    if 0 < port_id <= ID_MOST:
        async with connection(state.pool) as borrowed:
            found = await find_port(borrowed, port_id)
    if found is None or found.gaining != operator.name:
        raise HTTPException(status_code=404, detail="there is no such request of yours")
    return _answer(found)


ROUTES: Sequence[HTTPRouteHandler] = (post_port_out, get_port_out)


async def _authenticate(request: Request[Any, Any, State], state: State) -> GainingOperator:
    """HTTP Basic with the login and password of an operator that may ask for numbers (RFC 7617)."""
    login, password = read_credentials(request.headers.get("authorization", ""))
    ports: PortRoutes = state.ports
    operator = next((one for one in ports.operators if one.login == login), None)
    if operator is None or not await state.passwords.is_right(operator.password_hash, password):
        raise HTTPException(
            status_code=401,
            detail="give the login and password of an operator that may ask for numbers",
            headers={"www-authenticate": 'Basic realm="onecard"'},
        )
    return operator


def _answer(outcome: PortOut | PortRefusal | Closed) -> PortAnswer:
    if isinstance(outcome, Closed):
        detail = f"no number is taken elsewhere any more: {outcome.stage!r} of the order to stop has come"
        raise HTTPException(status_code=409, detail=detail)
    if isinstance(outcome, PortRefusal):
        status, detail = STATUS_OF_REFUSAL[outcome]
        raise HTTPException(status_code=status, detail=detail)
    return PortAnswer(
        outcome.id,
        outcome.msisdn,
        outcome.reference,
        outcome.state,
        outcome.failure,
        outcome.due_at,
        outcome.ended_at,
    )
