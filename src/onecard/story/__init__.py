"""The demonstration: a made-up operator, its simulated partners, and the story they tell together."""

from __future__ import annotations

from pathlib import Path

__all__ = ["demo"]


def demo(*, as_json: bool, hold: bool, data: Path | None, sample: int = 0) -> int:
    """Tell the main story on loopback and verify every step; returns the exit code, 0 only if all was verified.

    `as_json` prints one JSON summary in place of the timeline. `hold` keeps everything running afterwards, prints one
    JSON line of addresses and sign-ins on stdout (the timeline then goes to stderr), and waits for SIGTERM or SIGINT;
    the order does not come then.
    Held, the operator has `sample` more subscribers, made up with weeks of traffic.
    `data` is an empty or missing directory to tell it in, which is kept; else a temporary one is used and removed.
    """
    import uvloop  # here, because simulated peers are imported without a story to tell

    from onecard.story.telling import tell

    return uvloop.run(tell(as_json=as_json, hold=hold, directory=data, sample=sample))
