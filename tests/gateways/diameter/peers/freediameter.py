"""freeDiameter as a relay: its daemon on loopback, with certificates made for one test."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIGURATION = Template((Path(__file__).parent / "freediameter.conf").read_text(encoding="utf-8"))
HOST, REALM = "relay.host.example", "host.example"
STOP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Relay:
    """A running freeDiameter."""

    port: int
    log: Path


class Authority:
    """Certifies the names of hosts, as freeDiameter looks for them in its own certificate and in those of others."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority of one test")
        certificate = self._sign(self._name, self._key, None)
        self.file = directory / "authority.pem"
        self.file.write_bytes(certificate)

    def certify(self, host: str) -> None:
        """Write `host`.pem and `host`.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        (self._directory / f"{host}.pem").write_bytes(self._sign(_name(host), key, host))
        (self._directory / f"{host}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def server_context(self, host: str) -> ssl.SSLContext:
        """For a node of this name, that wants certificates of those who call."""
        self.certify(host)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.file))
        context.load_cert_chain(self._directory / f"{host}.pem", self._directory / f"{host}.key")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@asynccontextmanager
async def run_relay(
    require_program: Callable[[str], str],
    directory: Path,
    authority: Authority,
    *,
    allowed: tuple[str, ...],
    connect: str = "",
) -> AsyncIterator[Relay]:
    """Run the daemon: `allowed` may call it without TLS, and it calls what `connect` says in its own words."""
    program = require_program("freeDiameterd")
    authority.certify(HOST)
    port, secure_port = _free_ports()
    (directory / "allowed.conf").write_text("".join(f"ALLOW_IPSEC {host}\n" for host in allowed))
    configuration = directory / "freediameter.conf"
    configuration.write_text(
        CONFIGURATION.substitute(
            host=HOST, realm=REALM, port=port, secure_port=secure_port, directory=directory, connect=connect
        )
    )
    relay = Relay(port, directory / "freediameter.log")
    async with _running(program, configuration, relay.log):
        yield relay


@asynccontextmanager
async def _running(program: str, configuration: Path, log: Path) -> AsyncIterator[None]:
    """Run the daemon in the foreground, and stop it by its own process; it wants its DPR answered meanwhile."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            str(configuration),
            "-d",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
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


def _free_ports() -> tuple[int, int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports[0], ports[1]
