"""The links as they are configured, for the SMPP gateway; and the peers that we bind to."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from ipaddress import ip_network

from onecard.gateways.smpp.client import Peer, SmppClient
from onecard.gateways.smpp.events import BindMode
from onecard.gateways.smpp.link import Link as SmppLink
from onecard.gateways.smpp.link import LinkSettings
from onecard.gateways.smpp.session import SessionSettings
from onecard.node.config import Bind, Config, Connect, Link, parse_address

_MODES = {
    Bind.TRANSMITTER: BindMode.TRANSMITTER,
    Bind.RECEIVER: BindMode.RECEIVER,
    Bind.TRANSCEIVER: BindMode.TRANSCEIVER,
}


def make_settings(link: Link) -> LinkSettings:
    """What the gateway must know of a link."""
    return LinkSettings(
        link.name,
        link.system_id,
        link.password_hash,
        tuple(ip_network(network) for network in link.allow),
        link.receipts,
        link.sessions_most,
        link.texts_a_second_in,
        link.texts_a_second_out,
        SessionSettings(
            incoming_window=link.window_in,
            outgoing_window=link.window_out,
            response_seconds=link.response_seconds,
            enquire_link_seconds=link.enquire_link_seconds,
        ),
    )


def bind_to_peers(
    config: Config, links: Mapping[str, SmppLink], peer_passwords: Mapping[str, str], stack: AsyncExitStack
) -> None:
    """Bind to every peer that we call, until the stack ends."""
    for link in config.links:
        if link.connect is None:
            continue
        for bind in link.connect.binds:
            peer = _peer(link.connect, bind, peer_passwords[link.name])
            stack.push_async_callback(SmppClient(links[link.name], peer).close)


def _peer(connect: Connect, bind: Bind, password: str) -> Peer:
    host, port = parse_address(connect.address)
    tls = ssl.create_default_context(cafile=connect.tls_ca) if connect.tls else None
    return Peer(host, port, _MODES[bind], password, tls, connect.tls_name or host)
