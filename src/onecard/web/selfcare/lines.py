"""One line: how to use it, what is set for it, what became of its texts, and its end."""

from __future__ import annotations

from datetime import timedelta

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard.database.pool import connection
from onecard.lines.actions import (
    allow_sender,
    ask_to_end_line,
    bar_line,
    block_sender,
    confirm_end_of_line,
    disallow_sender,
    keep_line,
    set_schedule,
    switch_line,
    unblock_sender,
)
from onecard.lines.model import Line, LineRefusal, Usage, Window
from onecard.lines.rules import BadListEntry, BadSchedule, parse_schedule
from onecard.messages.store import list_traces
from onecard.switching.model import CardEntry, TextRefusal
from onecard.values.hours import DAYS
from onecard.web.forms import Form
from onecard.web.given import GivenForm, GivenLayout, GivenSite, GivenVisit
from onecard.web.layout import Layout, Page
from onecard.web.selfcare.activity import ID_MOST
from onecard.web.selfcare.me import GivenMe, Me
from onecard.web.selfcare.refusals import go_refused
from onecard.web.site import Site
from onecard.web.throttle import Throttle, count_attempt
from onecard.web.visit import Visit
from onecard.web.words import say

TRACES_MOST = 200
SHOWN_MOST = 15
SELF_TEST = Throttle("self-test", 5, timedelta(hours=1))
CHECK_LIST = ("bank", "payments", "messengers", "mail", "government", "family")
"""What may be bound to a number: to be moved before the number goes."""


@get("/lines/{line_id:int}")
async def line_page(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, line_id: FromPath[int]
) -> Page:
    """A line with all that is set for it."""
    return await _show(site, layout, visit, me, line_id)


async def _show(
    site: Site, layout: Layout, visit: Visit, me: Me, line_id: int, form: Form | None = None
) -> Page:
    card, line = me.line(line_id)
    async with connection(site.pool) as borrowed:
        traces = await list_traces(borrowed, me.part, card.card.id, before=ID_MOST, most=TRACES_MOST)
    errors = form.errors if form else {}
    return layout.page(
        visit,
        "selfcare/line.html",
        status=422 if errors else 200,
        errors=errors,
        me=me,
        line=line,
        traces=[trace for trace in traces if trace.line_id == line.id][:SHOWN_MOST],
        days=DAYS,
    )


@post("/lines/{line_id:int}/switch")
async def switch(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Switch on or off."""
    _, line = me.line(line_id)
    on = form.text("on") == "yes"
    async with connection(site.pool) as borrowed:
        outcome = await switch_line(borrowed, visit.at, actor=me.actor, part=me.part, line_id=line.id, on=on)
    back = "/" if form.has("home") else f"/lines/{line.id}"
    return _done(site, layout, visit, line, outcome, back, "line.said_on" if on else "line.said_off")


@post("/lines/{line_id:int}/bar")
async def bar(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Bar texts or calls to the line, or let them in again."""
    _, line = me.line(line_id)
    async with connection(site.pool) as borrowed:
        outcome = await bar_line(
            borrowed,
            visit.at,
            actor=me.actor,
            part=me.part,
            line_id=line.id,
            usage=_usage(form),
            barred=form.text("barred") == "yes",
        )
    return _done(site, layout, visit, line, outcome, f"/lines/{line.id}", "said.saved")


@post("/lines/{line_id:int}/schedule")
async def add_window(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Add hours in which the line takes texts, calls, or both."""
    _, line = me.line(line_id)
    days = [day for day in form.texts("day", most=3) if day in DAYS]
    written = f"{','.join(days) or '-'} {form.text('begin', most=5)}-{form.text('end', most=5)}"
    if usage := form.text("usage", most=5, required=False):
        written += f" {usage}"
    try:
        windows = parse_schedule(written)
        outcome = await _save_schedule(site, visit, me, line, (*line.schedule, *windows))
    except BadSchedule:
        form.errors["schedule"] = "line.schedule_wrong"
        return await _show(site, layout, visit, me, line_id, form)
    return _done(site, layout, visit, line, outcome, f"/lines/{line.id}", "said.saved")


@post("/lines/{line_id:int}/schedule/remove")
async def remove_window(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Take hours away; without any the line always takes all."""
    _, line = me.line(line_id)
    place = form.text("place", most=3)
    left = tuple(window for number, window in enumerate(line.schedule) if str(number) != place)
    outcome = await _save_schedule(site, visit, me, line, left)
    return _done(site, layout, visit, line, outcome, f"/lines/{line.id}", "said.saved")


@post("/lines/{line_id:int}/list")
async def change_list(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Put a sender on a list of the line, or take one off."""
    _, line = me.line(line_id)
    entry, what = form.text("entry", most=40), form.text("what", most=20)
    if not form.is_good or what not in ("block", "unblock", "allow", "disallow"):
        return await _show(site, layout, visit, me, line_id, form)
    try:
        outcome = await _change_list(site, visit, me, line, what, entry)
    except BadListEntry:
        form.errors["entry"] = "line.entry_wrong"
        return await _show(site, layout, visit, me, line_id, form)
    return _done(site, layout, visit, line, outcome, f"/lines/{line.id}", "said.saved")


@post("/lines/{line_id:int}/test")
async def test_line(
    site: GivenSite, layout: GivenLayout, visit: GivenVisit, me: GivenMe, line_id: FromPath[int]
) -> Page:
    """Send a text to the card by this line, to see that it arrives; its trace is on the page."""
    card, line = me.line(line_id)
    key = site.master.derive(b"self-test")
    async with connection(site.pool) as borrowed:
        if not await count_attempt(borrowed, visit.at, SELF_TEST, str(card.card.id), key=key):
            return layout.go(f"/lines/{line.id}", refused="line.test_too_often")
    words = say("line.test_text", visit.language, number=line.msisdn, name=site.operator.name)
    outcome = await site.tell(CardEntry(*card), words, line)
    if isinstance(outcome, TextRefusal):
        return go_refused(layout, visit, f"/lines/{line.id}", outcome)
    return layout.go(f"/lines/{line.id}", said="line.test_sent")


@get("/lines/{line_id:int}/end")
async def end_page(layout: GivenLayout, visit: GivenVisit, me: GivenMe, line_id: FromPath[int]) -> Page:
    """What to think of before a number goes; then the wish, then its confirmation."""
    _, line = me.line(line_id)
    if line.is_primary:
        raise NotFoundException
    is_ending = line.ending_until is not None and line.ending_until >= visit.at
    return layout.page(
        visit, "selfcare/end.html", me=me, line=line, is_ending=is_ending, check_list=CHECK_LIST
    )


@post("/lines/{line_id:int}/end")
async def end(
    site: GivenSite,
    layout: GivenLayout,
    visit: GivenVisit,
    me: GivenMe,
    form: GivenForm,
    line_id: FromPath[int],
) -> Page:
    """Ask for the end, keep the line after all, or confirm."""
    _, line = me.line(line_id)
    step = form.text("step", most=10)
    act = {"ask": _ask, "keep": _keep, "confirm": _confirm}.get(step)
    if act is None:
        raise NotFoundException
    outcome = await act(site, visit, me, line)
    back = {"ask": f"/lines/{line.id}/end", "keep": f"/lines/{line.id}", "confirm": "/"}[step]
    if isinstance(outcome, LineRefusal):
        back = f"/lines/{line.id}/end"
    return _done(site, layout, visit, line, outcome, back, f"line.said_{step}")


def _done(
    site: Site, layout: Layout, visit: Visit, line: Line, outcome: Line | LineRefusal, back: str, word: str
) -> Page:
    """Back to where one was, with a word of what was done. This node forgets the card, so that it shows at once."""
    if isinstance(outcome, LineRefusal):
        return go_refused(layout, visit, back, outcome)
    site.forget_card(line.card_id)
    return layout.go(back, said=word)


def _usage(form: Form) -> Usage:
    try:
        return Usage(form.text("usage", most=10))
    except ValueError:
        raise NotFoundException from None


async def _save_schedule(
    site: Site, visit: Visit, me: Me, line: Line, schedule: tuple[Window, ...]
) -> Line | LineRefusal:
    async with connection(site.pool) as borrowed:
        return await set_schedule(
            borrowed, visit.at, actor=me.actor, part=me.part, line_id=line.id, schedule=schedule
        )


async def _change_list(
    site: Site, visit: Visit, me: Me, line: Line, what: str, entry: str
) -> Line | LineRefusal:
    limits = site.operator.limits
    async with connection(site.pool) as borrowed:
        if what in ("block", "allow"):
            put_on = block_sender if what == "block" else allow_sender
            return await put_on(
                borrowed,
                visit.at,
                actor=me.actor,
                part=me.part,
                line_id=line.id,
                entry=entry,
                limits=limits,
            )
        take_off = unblock_sender if what == "unblock" else disallow_sender
        return await take_off(borrowed, visit.at, actor=me.actor, part=me.part, line_id=line.id, entry=entry)


async def _ask(site: Site, visit: Visit, me: Me, line: Line) -> Line | LineRefusal:
    async with connection(site.pool) as borrowed:
        return await ask_to_end_line(
            borrowed,
            visit.at,
            actor=me.actor,
            part=me.part,
            line_id=line.id,
            limits=site.operator.limits,
        )


async def _keep(site: Site, visit: Visit, me: Me, line: Line) -> Line | LineRefusal:
    async with connection(site.pool) as borrowed:
        return await keep_line(borrowed, visit.at, actor=me.actor, part=me.part, line_id=line.id)


async def _confirm(site: Site, visit: Visit, me: Me, line: Line) -> Line | LineRefusal:
    async with connection(site.pool) as borrowed:
        return await confirm_end_of_line(
            borrowed,
            visit.at,
            actor=me.actor,
            part=me.part,
            line_id=line.id,
            limits=site.operator.limits,
        )


ROUTES = (
    line_page,
    switch,
    bar,
    add_window,
    remove_window,
    change_list,
    test_line,
    end_page,
    end,
)
