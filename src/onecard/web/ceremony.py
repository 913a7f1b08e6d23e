"""The two ceremonies of passkeys (WebAuthn level 3, section 7): one is made, one is used.

What a browser is to sign is kept here, bound to that browser, for one use within minutes. The authenticator must
verify its owner: a passkey alone is two proofs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import webauthn
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from onecard.database.pool import Connection
from onecard.web.sessions import hash_token
from onecard.web.site import Site
from onecard.web.visit import Visit

CHALLENGE_LIFE = timedelta(minutes=5)
CREDENTIAL_LENGTH_MOST = 16_000

SAVE = """
INSERT INTO passkey_challenge (token_hash, challenge, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (token_hash) DO UPDATE SET challenge = $2, expires_at = $3"""
TAKE = "DELETE FROM passkey_challenge WHERE token_hash = $1 RETURNING challenge, expires_at > $2 AS is_good"
TIDY = "DELETE FROM passkey_challenge WHERE expires_at <= $1"


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey that a browser has just made for us."""

    id: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is stored of a passkey, to verify a signature with."""

    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class UsedPasskey:
    """A passkey whose owner is at the browser: its id, the handle it was made for, and its new count."""

    id: bytes
    handle: bytes
    sign_count: int


FindKey = Callable[[bytes, bytes], Awaitable[KnownKey | None]]
"""Finds a passkey by its id and the handle it was made for."""


async def ask_to_make(
    connection: Connection, site: Site, visit: Visit, *, handle: bytes, name: str, known: Sequence[bytes]
) -> str:
    """What the browser is asked for, as JSON: a passkey of `handle`, that its owner will see as `name`."""
    options = webauthn.generate_registration_options(
        rp_id=site.host,
        rp_name=site.operator.name,
        user_id=handle,
        user_name=name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(one) for one in known],
    )
    await _save(connection, visit, options.challenge)
    return webauthn.options_to_json(options)


async def ask_to_sign(connection: Connection, site: Site, visit: Visit) -> str:
    """What the browser is asked for, as JSON: a signature of any passkey that its owner has for us."""
    options = webauthn.generate_authentication_options(
        rp_id=site.host, user_verification=UserVerificationRequirement.REQUIRED
    )
    await _save(connection, visit, options.challenge)
    return webauthn.options_to_json(options)


async def verify_new(connection: Connection, site: Site, visit: Visit, credential: str) -> NewPasskey | None:
    """The passkey that a browser made when it was asked to; None: this is not one."""
    challenge = await _take(connection, visit)
    if challenge is None:
        return None
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.url,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return None
    return NewPasskey(verified.credential_id, verified.credential_public_key, verified.sign_count)


async def verify_used(
    connection: Connection, site: Site, visit: Visit, credential: str, find_key: FindKey
) -> UsedPasskey | None:
    """The passkey with which a browser signed what it was asked to; None: it did not, or it is a copy."""
    challenge = await _take(connection, visit)
    if challenge is None:
        return None
    try:
        read = parse_authentication_credential_json(credential)
        handle = read.response.user_handle or b""
        known = await find_key(read.raw_id, handle)
        if known is None:
            return None
        verified = webauthn.verify_authentication_response(
            credential=read,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.url,
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return None
    return UsedPasskey(verified.credential_id, handle, verified.new_sign_count)


async def _save(connection: Connection, visit: Visit, challenge: bytes) -> None:
    await connection.execute(SAVE, hash_token(visit.token), challenge, visit.at + CHALLENGE_LIFE)


async def _take(connection: Connection, visit: Visit) -> bytes | None:
    row = await connection.fetchrow(TAKE, hash_token(visit.token), visit.at)
    return row["challenge"] if row is not None and row["is_good"] else None


async def tidy_challenges(connection: Connection, at: datetime) -> None:
    """Delete what nobody came back for."""
    await connection.execute(TIDY, at)
