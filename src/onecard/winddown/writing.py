"""Write a plan with its stays, so that reading gives the same again. Pure: a plan in, TOML out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import date

from onecard.winddown.model import Notice, Order, Plan, Stage, Stay
from onecard.winddown.reading import PlanFile

Value = str | int | date | Collection[str] | Collection[date] | None
"""What a key may be; what is None, false or empty is left out, since that is what reading takes it for."""


def write_plan(file: PlanFile) -> str:
    """The plan in TOML 1.0: what has no order, in alphabetical order."""
    return "\n".join(_write_tables(file))


def _write_tables(file: PlanFile) -> Iterator[str]:
    plan = file.plan
    yield from _write_keys(_top(plan))
    yield from _write_table("[order]", _order(plan.order))
    for stage in plan.stages:
        yield from _write_table("[[stage]]", _stage(stage))
    for notice in plan.notices:
        yield from _write_table("[[notice]]", _notice(notice))
    for stay in file.stays:
        yield from _write_table("[[stay]]", _stay(stay))
    if plan.disconnection is not None:
        days = {"on": plan.disconnection.on, "told": plan.disconnection.told}
        yield from _write_table("[disconnection]", days)
    if plan.last_days:
        yield from _write_table("[last_days]", dict(sorted(plan.last_days.items())))
    yield from _write_table("[refunds]", dict(sorted(plan.refunds.items())))
    yield ""


def _top(plan: Plan) -> Mapping[str, Value]:
    return {
        "name": plan.name,
        "time_zone": plan.time_zone.key,
        "version": plan.version,
        "closed_days": sorted(plan.closed_days),
    }


def _order(order: Order) -> Mapping[str, Value]:
    return {
        "issuer": order.issuer,
        "legal_basis": order.legal_basis,
        "received": order.received,
        "document_sha256": order.document_sha256,
    }


def _stage(stage: Stage) -> Mapping[str, Value]:
    return {
        "name": stage.name,
        "at": stage.at,
        "closes": sorted(stage.closes),
        "opens": sorted(stage.opens),
        "voids": sorted(stage.voids),
        "irreversible": stage.is_irreversible,
        "by_host": stage.is_by_host,
    }


def _notice(notice: Notice) -> Mapping[str, Value]:
    return {
        "stage": notice.stage,
        "at": notice.at,
        "languages": [one.value for one in notice.languages],
        "kind": notice.kind,
    }


def _stay(stay: Stay) -> Mapping[str, Value]:
    return {"since": stay.since, "until": stay.until, "stages": sorted(stay.stages)}


def _write_table(heading: str, keys: Mapping[str, Value]) -> Iterator[str]:
    yield f"\n{heading}"
    yield from _write_keys(keys)


def _write_keys(keys: Mapping[str, Value]) -> Iterator[str]:
    for key, value in keys.items():
        if value:
            yield f"{key} = {_write_value(value)}"


def _write_value(value: Value) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    assert value is not None  # it was left out
    return f"[{', '.join(map(_write_value, value))}]"


def _quote(text: str) -> str:
    """JSON escapes all that TOML wants escaped, save one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")
