"""Decide what may be destroyed. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from onecard.retention.model import KEPT_WHOLE, SEALED, DataClass, PurgeRefusal, PurgeRun, Span
from onecard.sealing.renewal import Renewal
from onecard.winddown.model import Stay


def is_stayed(stays: Collection[Stay], local: datetime) -> bool:
    """Whether a stay of any stage is in force, by the clock on the plan's wall."""
    return any(stay.since <= local and (stay.until is None or local < stay.until) for stay in stays)


def decide_run(data_class: DataClass, *, stayed: bool, held: bool) -> PurgeRefusal | None:
    """Why a class cannot be purged now, whose gate is open; None: it can."""
    if data_class in KEPT_WHOLE:
        return PurgeRefusal.KEPT_WHOLE
    if stayed:
        return PurgeRefusal.STAYED
    return PurgeRefusal.LEGAL_HOLD if held else None


def decide_certificate(run: PurgeRun, renewal: Renewal | None) -> PurgeRefusal | None:
    """Why a run cannot be certified; None: it can. `renewal` is the first that began after it ended."""
    if run.ended_at is None:
        return PurgeRefusal.NOT_ENDED
    if run.data_class in SEALED and renewal is None:
        return PurgeRefusal.NOT_RENEWED
    return None


def write_certificate(
    run: PurgeRun,
    renewal: Renewal | None,
    *,
    periods_since: datetime | None,
    operator: str,
    span: Span,
    at: datetime,
) -> dict[str, Any]:
    """The document that is signed. `periods_since`: copies from before then are cut off by no renewal."""
    assert run.ended_at is not None
    return {
        "what": "certificate of destruction",
        "operator": operator,
        "run": run.id,
        "class": run.data_class.value,
        "kept_days": {"least": span.least.days, "most": span.most.days},
        "destroyed": {
            "rows": run.rows,
            "data_keys": run.keys,
            "ended_before": _say(run.before),
            "oldest": _say(run.oldest),
            "newest": _say(run.newest),
        },
        "started": {"at": _say(run.started_at), "by": run.started_by},
        "ended_at": _say(run.ended_at),
        "backups": _say_backups(run, renewal, periods_since),
        "issued_at": _say(at),
    }


def _say_backups(run: PurgeRun, renewal: Renewal | None, periods_since: datetime | None) -> dict[str, Any]:
    if run.data_class not in SEALED or renewal is None:
        return {"unreadable": False, "because": "not sealed: backups are deleted by those who keep them"}
    keys = [
        {"period": period, "sha256": fingerprint} for period, fingerprint in sorted(renewal.destroyed.items())
    ]
    return {
        "unreadable": True,
        "made_since": _say(periods_since),
        "made_before": _say(renewal.ended_at),
        "because": "the keys of their periods were destroyed",
        "keys_destroyed": keys,
    }


def _say(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()
