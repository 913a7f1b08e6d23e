"""Put our Diameter node together: its endpoint, the sockets it listens on, and the peers it calls."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address, ip_network

import structlog

from onecard.charging.actions import CreditControl
from onecard.gateways.diameter.client import DiameterClient, Target
from onecard.gateways.diameter.constants import FinalUnitAction, RedirectAddressType
from onecard.gateways.diameter.desk import CreditControlDesk
from onecard.gateways.diameter.endpoint import Endpoint
from onecard.gateways.diameter.messages import FinalUnit, RedirectServer
from onecard.gateways.diameter.peer import PeerSettings
from onecard.gateways.diameter.server import DiameterServer, SctpUnavailable
from onecard.gateways.diameter.session import Identity, SessionSettings
from onecard.gateways.diameter.translate import ChargingSettings
from onecard.node.config import Charging, Diameter, DiameterPeer, FinalUnitWish, parse_address

log = structlog.get_logger(__name__)


@asynccontextmanager
async def run_diameter(
    config: Diameter, charging: Charging, control: CreditControl, *, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[str, CreditControlDesk]]:
    """Answer Diameter peers until the end of the block; yields host:port and the desk that answers."""
    host, port = parse_address(config.listen)
    desk = CreditControlDesk(control, _settings(charging))
    async with AsyncExitStack() as stack:
        identity = Identity(config.host, config.realm, (ip_address(config.address or host),))
        endpoint = desk.endpoint = Endpoint(identity, map(_peer, config.peers), desk.answer)
        server = DiameterServer(endpoint)
        stack.push_async_callback(server.close)
        stack.push_async_callback(endpoint.close)
        port = await server.listen(host, port)
        if config.tls is not None:
            await server.listen(*parse_address(config.tls.listen), tls)
        if config.sctp:
            await _listen_sctp(server, host, port)
        for peer in config.peers:
            if peer.connect is not None:
                client = DiameterClient(endpoint, peer.host, _target(peer))
                stack.push_async_callback(client.close)
        yield f"{host}:{port}", desk


async def _listen_sctp(server: DiameterServer, host: str, port: int) -> None:
    try:
        await server.listen_sctp(host, port)
    except SctpUnavailable as error:
        log.warning("diameter does not listen on SCTP", reason=str(error))


def _peer(peer: DiameterPeer) -> PeerSettings:
    return PeerSettings(
        peer.host,
        peer.realm,
        tuple(ip_network(network) for network in peer.allow),
        peer.tls_required,
        SessionSettings(requests_most=peer.requests_most),
    )


def _target(peer: DiameterPeer) -> Target:
    assert peer.connect is not None
    host, port = parse_address(peer.connect.address)
    tls = ssl.create_default_context(cafile=peer.connect.tls_ca) if peer.connect.tls else None
    return Target(host, port, tls, peer.connect.tls_name)


def _settings(charging: Charging) -> ChargingSettings:
    return ChargingSettings(_final_unit(charging), charging.quota_holding_seconds)


def _final_unit(charging: Charging) -> FinalUnit:
    match charging.final_unit:
        case FinalUnitWish.REDIRECT:
            assert charging.redirect_to is not None
            server = RedirectServer(RedirectAddressType.URL, charging.redirect_to)
            return FinalUnit(FinalUnitAction.REDIRECT, redirect_server=server)
        case FinalUnitWish.RESTRICT:
            return FinalUnit(FinalUnitAction.RESTRICT_ACCESS, filter_rules=tuple(charging.restrict_filters))
        case FinalUnitWish.TERMINATE:
            return FinalUnit(FinalUnitAction.TERMINATE)
