"""Sign in by a code that is texted to the card: six digits, good for minutes and for few guesses.

Whether a number is a subscriber's is never told: the answer to a request is the same, and no text goes out.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from onecard.database.pool import Connection, connection
from onecard.lines.store import CardWithLines, find_card_with_lines
from onecard.switching.model import CardEntry
from onecard.values.phone import E164
from onecard.web.site import Site
from onecard.web.throttle import Throttle, count_attempt
from onecard.web.visit import Visit
from onecard.web.words import say

PURPOSE = b"sign-in codes"
DIGITS = 6
LIFE = timedelta(minutes=5)
TRIES_MOST = 5
SENDING = (
    Throttle("code by number", 3, timedelta(minutes=15)),
    Throttle("code by number a day", 10, timedelta(days=1)),
)
SENDING_BY_ADDRESS = Throttle("code by address", 20, timedelta(minutes=15))
PROVING_BY_ADDRESS = Throttle("prove by address", 40, timedelta(minutes=15))

SAVE = """
INSERT INTO sign_in_code (part, card_id, code_hash, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (part, card_id) DO UPDATE SET code_hash = $3, expires_at = $4, tries = 0"""
TRY = """
UPDATE sign_in_code SET tries = tries + 1
WHERE part = $1 AND card_id = $2 AND expires_at > $3 AND tries < $4 RETURNING code_hash"""
DELETE = "DELETE FROM sign_in_code WHERE part = $1 AND card_id = $2 AND code_hash = $3 RETURNING 1"
TIDY = "DELETE FROM sign_in_code WHERE part = $1 AND expires_at <= $2"


async def send_code(site: Site, visit: Visit, msisdn: E164) -> bool:
    """Text a code to the card that has this number, if there is one; False: too many were asked for."""
    async with connection(site.pool) as borrowed:
        if not await _may_send(borrowed, site, visit, msisdn):
            return False
        found = await find_card_with_lines(borrowed, msisdn)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        if found is not None:
            await _save(borrowed, site, visit, found, code)
    if found is not None:
        words = say("sign_in.text", found.language, code=code, name=site.operator.name, host=site.host)
        await site.tell(CardEntry(*found), words)
    return True


async def _may_send(borrowed: Connection, site: Site, visit: Visit, msisdn: E164) -> bool:
    key = site.master.derive(PURPOSE)
    counts = [await count_attempt(borrowed, visit.at, one, msisdn, key=key) for one in SENDING]
    by_address = await count_attempt(borrowed, visit.at, SENDING_BY_ADDRESS, visit.address, key=key)
    return all(counts) and by_address


async def _save(borrowed: Connection, site: Site, visit: Visit, found: CardWithLines, code: str) -> None:
    card = found.card
    await borrowed.execute(SAVE, card.part, card.id, _hash(site, card.id, code), visit.at + LIFE)


async def prove_code(site: Site, visit: Visit, msisdn: E164, code: str) -> CardWithLines | None:
    """The card that the code was texted to, once; None: it was not, or was guessed at too often."""
    async with connection(site.pool) as borrowed:
        key = site.master.derive(PURPOSE)
        if not await count_attempt(borrowed, visit.at, PROVING_BY_ADDRESS, visit.address, key=key):
            return None
        found = await find_card_with_lines(borrowed, msisdn)
        if found is None:
            return None
        card = found.card
        wanted = await borrowed.fetchval(TRY, card.part, card.id, visit.at, TRIES_MOST)
        given = _hash(site, card.id, code)
        if wanted is None or not hmac.compare_digest(wanted, given):
            return None
        is_first = await borrowed.fetchval(DELETE, card.part, card.id, wanted)
        return found if is_first else None


async def tidy_codes(borrowed: Connection, part: int, at: datetime) -> None:
    """Delete codes that nobody used in time."""
    await borrowed.execute(TIDY, part, at)


def _hash(site: Site, card_id: int, code: str) -> bytes:
    """There are too few codes for a hash without a key to hide one."""
    return hmac.digest(site.master.derive(PURPOSE), f"{card_id}:{code}".encode(), sha256)
