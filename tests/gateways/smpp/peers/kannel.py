"""Kannel as a peer: bearerbox and smsbox on loopback, and the little HTTP service that smsbox reports to."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, urlsplit

import httpx

from .certificates import Certificates

CONFIGURATION = Template((Path(__file__).parent / "kannel.conf").read_text(encoding="utf-8"))
ADMIN_PASSWORD = "admin"
STOP_SECONDS = 5

Query = dict[str, str]


@dataclass(slots=True)
class Listener:
    """What smsbox called: texts that were delivered to it, and reports on texts that it sent."""

    port: int
    texts: list[Query] = field(default_factory=list)
    reports: list[Query] = field(default_factory=list)


@dataclass(slots=True)
class Kannel:
    """A running Kannel."""

    listener: Listener
    sendsms_port: int

    async def send(self, source: str, destination: str, words: str, **parameters: str) -> str:
        """Have smsbox send a text, with reports on all that becomes of it; returns what it says."""
        report_url = f"http://127.0.0.1:{self.listener.port}/report?status=%d&id=%F&answer=%A"
        query = {
            "username": "tester",
            "password": ADMIN_PASSWORD,
            "from": source,
            "to": destination,
            "text": words,
            "charset": "UTF-8",
            "dlr-mask": "31",
            "dlr-url": report_url,
            **parameters,
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.sendsms_port}/cgi-bin/sendsms", params=query)
        return answer.text


@asynccontextmanager
async def run_kannel(
    require_program: Callable[[str], str],
    directory: Path,
    smpp_address: str | None,
    *,
    system_id: str,
    password: str,
    tls: Certificates | None = None,
) -> AsyncIterator[Kannel]:
    """Run bearerbox, bound or binding to the address, and smsbox beside it."""
    assert smpp_address is not None
    bearerbox, smsbox = require_program("bearerbox"), require_program("smsbox")
    admin_port, smsbox_port, sendsms_port = _free_ports(3)
    with _listen() as listener:
        configuration = directory / "kannel.conf"
        configuration.write_text(
            CONFIGURATION.substitute(
                admin_port=admin_port,
                password=ADMIN_PASSWORD,
                smsbox_port=smsbox_port,
                sendsms_port=sendsms_port,
                listener_port=listener.port,
                smpp_port=smpp_address.rpartition(":")[2],
                system_id=system_id,
                smpp_password=password,
                trust=f'ssl-trusted-ca-file = "{tls.authority}"' if tls else "",
                tls="use-ssl = true" if tls else "",
            ),
            encoding="utf-8",
        )
        async with _running(bearerbox, configuration):
            await _reachable(smsbox_port)
            async with _running(smsbox, configuration):
                await _reachable(sendsms_port)
                yield Kannel(listener, sendsms_port)


@asynccontextmanager
async def _running(program: str, configuration: Path) -> AsyncIterator[None]:
    """Run one of Kannel's boxes, and stop it by its own process; it wants its unbind answered meanwhile."""
    with configuration.with_name(f"{Path(program).name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            "-v",
            "0",
            str(configuration),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=configuration.parent,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


@contextmanager
def _listen() -> Iterator[Listener]:
    listener = Listener(0)
    kinds = {"/text": listener.texts, "/report": listener.reports}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called = urlsplit(self.path)
            kinds[called.path].append(_read_query(called.query))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read_query(query: str) -> Query:
    """The parameters of a call; `words` are octets in the character set that `charset` names."""
    parameters = dict(parse_qsl(query, encoding="latin-1"))
    if "charset" in parameters:
        parameters["words"] = parameters["words"].encode("latin-1").decode(parameters["charset"])
    return parameters


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


async def _reachable(port: int) -> None:
    """Wait until somebody listens on the port."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError(f"Kannel does not listen on port {port}")
