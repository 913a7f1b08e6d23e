"""Put the Nchf application together for a node."""

from __future__ import annotations

from onecard.charging.actions import CreditControl
from onecard.gateways.nchf.codec import (
    FinalUnitAction,
    FinalUnitIndication,
    RedirectAddressType,
    RedirectServer,
)
from onecard.gateways.nchf.consumers import Consumer
from onecard.gateways.nchf.notify import Notifier
from onecard.gateways.nchf.server import Nchf
from onecard.gateways.nchf.translate import NchfSettings
from onecard.node.config import Charging, FinalUnitWish
from onecard.sealing.keys import MasterKey
from onecard.values.clock import Clock

REFERENCES = b"nchf references"
"""What the key is for that names sessions; derived, so that all nodes of a network have it."""


def make_nchf(
    charging: Charging, control: CreditControl, notifier: Notifier, master: MasterKey, clock: Clock
) -> Nchf:
    """The application; the caller closes the notifier."""
    consumers = [
        Consumer(
            each.name,
            each.token_hash,
            frozenset(each.notify_hosts),
            each.notify_http2,
            each.requests_most,
        )
        for each in charging.consumers
    ]
    return Nchf(
        control.answer,
        consumers,
        key=master.derive(REFERENCES),
        clock=clock,
        notifier=notifier,
        settings=NchfSettings(_final_unit(charging), charging.quota_holding_seconds, charging.api_root),
    )


def _final_unit(charging: Charging) -> FinalUnitIndication:
    match charging.final_unit:
        case FinalUnitWish.REDIRECT:
            assert charging.redirect_to is not None
            server = RedirectServer(RedirectAddressType.URL, charging.redirect_to)
            return FinalUnitIndication(FinalUnitAction.REDIRECT, redirect_server=server)
        case FinalUnitWish.RESTRICT:
            rules = tuple(charging.restrict_filters)
            return FinalUnitIndication(FinalUnitAction.RESTRICT_ACCESS, rules)
        case FinalUnitWish.TERMINATE:
            return FinalUnitIndication(FinalUnitAction.TERMINATE)
