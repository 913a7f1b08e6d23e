"""The wind-down: its calendar, what is proposed, how far refunds and port-outs have come, what is still owed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, SkipValidation

from onecard.database.pool import Connection, connection
from onecard.portability.actions import cancel_port_out, complete_port_out, fail_port_out, start_port_out
from onecard.portability.model import PortFailure, PortOut, PortRefusal, PortState
from onecard.portability.store import list_ports
from onecard.staff.model import Permission
from onecard.values.gate import Capability, Gates
from onecard.values.money import Currency
from onecard.values.table import BadTable
from onecard.web.console import store
from onecard.web.console.calendar import lay_out
from onecard.web.console.desk import Desk, GivenDesk, needs, needs_for_upload
from onecard.web.console.lately import Lately
from onecard.web.console.refunds import GivenTally
from onecard.web.console.tables import ID_HIGHEST, ROWS_A_PAGE, cut, read_wish
from onecard.web.console.uploads import read_upload, say_problems
from onecard.web.given import GivenForm
from onecard.web.layout import Page
from onecard.web.site import Site
from onecard.web.visit import AnyRequest
from onecard.winddown import actions
from onecard.winddown.model import ChangesThePast, OrderRefusal, Version
from onecard.winddown.notices.evidence_store import count_recipients
from onecard.winddown.notices.model import MadeNotice, RecipientState
from onecard.winddown.notices.store import list_notices
from onecard.winddown.reading import TEXT_MOST
from onecard.winddown.reconciliation.actions import NO_ORDER_POLICIES, sum_owed
from onecard.winddown.rules import AmendmentRefusal
from onecard.winddown.status import load_status
from onecard.winddown.store import get_text, list_rehearsals, list_versions

BOARD = "/console/winddown"
PORTS = "/console/winddown/ports"
STEPS = ("start", "complete", "fail", "cancel")

KEEP = timedelta(seconds=60)
"""So old may coverage and what is owed be: they look at everybody."""

Refusal = OrderRefusal | AmendmentRefusal | ChangesThePast


@dataclass(frozen=True, slots=True)
class Coverage:
    """A notice, and how many it has and has not reached."""

    notice: MadeNotice
    states: Mapping[RecipientState, int]

    @property
    def total(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """What takes long to count."""

    coverage: Sequence[Coverage]
    owed: Mapping[Currency, Mapping[str, int]]
    """By kind of value, in micros."""


GivenProgress: TypeAlias = NamedDependency[SkipValidation[Lately[Progress]]]


def keep_progress(site: Site) -> Lately[Progress]:
    """How far the wind-down has come, as one node's console knows it."""

    async def read(at: datetime) -> Progress:
        async with connection(site.pool) as borrowed:
            coverage = [await _cover(borrowed, notice) for notice in await list_notices(borrowed)]
            file = site.plan_in_force()
            policies = NO_ORDER_POLICIES if file is None else file.plan.refunds
            return Progress(coverage, await sum_owed(borrowed, at, site.parts, policies))

    return Lately(read, KEEP)


async def _cover(borrowed: Connection, notice: MadeNotice) -> Coverage:
    states: dict[RecipientState, int] = {}
    for row in await count_recipients(borrowed, notice.id, None):
        state = RecipientState(row["state"])
        states[state] = states.get(state, 0) + row["count"]
    return Coverage(notice, states)


@get(BOARD, opt=needs(Permission.SEE_WINDDOWN))
async def show_board(desk: GivenDesk, tally: GivenTally, progress: GivenProgress) -> Page:
    """The whole of it on one page."""
    async with desk.connection() as borrowed:
        order = await load_status(borrowed, desk.at)
        ports = await store.count_ports(borrowed)
    return desk.page(
        "winddown.html",
        order=order,
        calendar=lay_out(order.file, desk.at) if order else None,
        gates=_describe_gates(order.gates) if order else (),
        tally=await tally.get(desk.at),
        progress=await progress.get(desk.at),
        reached=RecipientState.REACHED,
        unreached=RecipientState.UNREACHED,
        ports=ports,
    )


def _describe_gates(gates: Gates) -> list[tuple[str, object]]:
    """Each capability, and why it is closed; None: it is open."""
    return [(gate.replace("_", " "), gates.closed.get(gate)) for gate in Capability]


@get(BOARD + "/versions/{number:int}", opt=needs(Permission.SEE_WINDDOWN))
async def show_version(desk: GivenDesk, number: FromPath[int]) -> Page:
    """One version: what it changes, who stands for it, and its text."""
    async with desk.connection() as borrowed:
        versions = await list_versions(borrowed)
        version = versions.find(number)
        if version is None:
            raise NotFoundException
        text = await get_text(borrowed, number)
        rehearsals = await list_rehearsals(borrowed)
    return desk.page(
        "version.html",
        version=version,
        state=versions.state_of(version),
        text=text,
        rehearsal=rehearsals.get(number),
    )


@post(
    BOARD + "/versions",
    opt=needs_for_upload(Permission.PROPOSE_PLANS),
    request_max_body_size=TEXT_MOST + 100_000,
)
async def propose(request: AnyRequest, desk: GivenDesk) -> Page:
    """Propose a plan that was brought as a file: of an order that is not started, or for one that is."""
    try:
        text = await read_upload(request)
        async with desk.connection() as borrowed:
            versions = await list_versions(borrowed)
            act = actions.draft_plan if versions.in_force is None else actions.amend_plan
            version = await act(borrowed, desk.at, actor=desk.actor, text=text)
    except BadTable as bad:
        return desk.refused(BOARD, f"The plan cannot be used: {'; '.join(say_problems(bad))[:600]}.")
    return _tell(desk, version, "is proposed")


@post(BOARD + "/versions/{number:int}/approve", opt=needs(Permission.APPROVE_PLANS))
async def approve(desk: GivenDesk, number: FromPath[int]) -> Page:
    """One of the two who must."""
    async with desk.connection() as borrowed:
        version = await actions.approve_version(
            borrowed, desk.at, actor=desk.actor, number=min(number, 10**6)
        )
    return _tell(desk, version, "has your approval")


@post(BOARD + "/versions/{number:int}/withdraw", opt=needs(Permission.PROPOSE_PLANS))
async def withdraw(desk: GivenDesk, number: FromPath[int]) -> Page:
    """Take back a version that is not in force."""
    async with desk.connection() as borrowed:
        version = await actions.withdraw_version(
            borrowed, desk.at, actor=desk.actor, number=min(number, 10**6)
        )
    return _tell(desk, version, "is withdrawn")


@post(BOARD + "/start", opt=needs(Permission.APPROVE_PLANS))
async def start(desk: GivenDesk, form: GivenForm) -> Page:
    """Put the approved plan in force, once it is said in so many words."""
    if form.text("sure", most=10, required=False) != "yes":
        return desk.refused(BOARD, "Tick that you mean it: from then on its stages come.")
    async with desk.connection() as borrowed:
        version = await actions.start(borrowed, desk.at, actor=desk.actor)
    return _tell(desk, version, "is in force")


def _tell(desk: Desk, version: Version | Refusal, what: str) -> Page:
    if isinstance(version, Version):
        return desk.done(f"{BOARD}/versions/{version.number}", f"Version {version.number} {what}.")
    if isinstance(version, ChangesThePast):
        return desk.refused(BOARD, f"It would change what has come: {'; '.join(version.reasons)[:600]}.")
    return desk.refused(BOARD, version)


# Port-outs


@get(PORTS, opt=needs(Permission.CHANGE_PORT_OUTS))
async def show_ports(request: AnyRequest, desk: GivenDesk) -> Page:
    """Numbers on their way to other operators, the latest first."""
    wish = read_wish(request, "state")
    states = {state.value: state for state in PortState}
    async with desk.connection() as borrowed:
        found = await list_ports(
            borrowed,
            state=states.get(wish.filters["state"]),
            before=wish.from_id or ID_HIGHEST,
            most=ROWS_A_PAGE + 1,
        )
    return desk.page("ports.html", table=cut(wish, found, lambda row: row.id), states=PortState)


@post(PORTS + "/{port_id:int}/move", opt=needs(Permission.CHANGE_PORT_OUTS))
async def move_port(desk: GivenDesk, port_id: FromPath[int], form: GivenForm) -> Page:
    """What the gaining operator told: it was confirmed, is complete, failed, or is given up."""
    step = form.text("step", most=20, required=False)
    if step not in STEPS:
        return desk.refused(PORTS, "Say what became of it.")
    async with desk.connection() as borrowed:
        port = await _move(borrowed, desk, min(port_id, ID_HIGHEST), step)
    if isinstance(port, PortRefusal):
        return desk.refused(PORTS, port)
    desk.site.forget_card(port.card_id)
    return desk.done(PORTS, f"The port-out of {port.msisdn} is {port.state.value}.")


async def _move(borrowed: Connection, desk: Desk, port_id: int, step: str) -> PortOut | PortRefusal:
    at, actor, limits = desk.at, desk.actor, desk.site.operator.limits
    if step == "start":
        return await start_port_out(borrowed, at, actor=actor, port_id=port_id)
    if step == "complete":
        return await complete_port_out(borrowed, at, actor=actor, port_id=port_id, limits=limits)
    if step == "cancel":
        return await cancel_port_out(borrowed, at, actor=actor, port_id=port_id, limits=limits)
    failure = PortFailure.GAINING_OPERATOR
    return await fail_port_out(borrowed, at, actor=actor, port_id=port_id, failure=failure, limits=limits)


ROUTES = (show_board, show_version, propose, approve, withdraw, start, show_ports, move_port)
