"""`onecard voucher`: PINs that are sold in shops. They are written once, to a file, and kept nowhere."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from onecard.cli.command import desk_command, new_group
from onecard.cli.desk import Desk
from onecard.cli.failures import Misuse, accept
from onecard.cli.options import ID_HIGHEST, MostOption
from onecard.cli.secret import new_private_file, put_on_disk
from onecard.cli.show import Answer, Table
from onecard.cli.times import read_time
from onecard.payments import actions, store
from onecard.payments.model import BatchTally, NewVoucher, Voucher, VoucherBatch, VoucherRefusal
from onecard.payments.rules import state_at
from onecard.sealing.check import check_master_key
from onecard.values.money import NUMERIC_CODES, Currency, Money, parse_micros

CSV_COLUMNS = ("serial", "pin", "face", "currency", "expires_at")
VOUCHER_COLUMNS = ("serial", "batch", "face", "state", "expires_at", "used_at", "account", "voided_at")

app = new_group("Vouchers: PINs that top up an account once.")

SerialOption = Annotated[
    int | None,
    typer.Option(
        "--serial", metavar="SERIAL", min=1, max=ID_HIGHEST, help="Of one voucher: its serial number."
    ),
]


@desk_command(app, "make")
async def make(
    desk: Desk,
    face: Annotated[str, typer.Argument(metavar="FACE", help="What each adds to an account: 20 or 12.50.")],
    count: Annotated[int, typer.Argument(metavar="COUNT", help="How many.")],
    expires: Annotated[
        str,
        typer.Option(
            "--expires", metavar="TIME", help="From then on they are refused: 2028-01-01, or an instant."
        ),
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Write the PINs to this file, which must be new: only its owner may read it.",
        ),
    ],
    currency: Annotated[
        str | None,
        typer.Option(
            "--currency", metavar="CODE", help="Of the face value; the operator's own unless given."
        ),
    ] = None,
) -> Answer:
    """Make a batch of vouchers, and write their PINs to a CSV file: the only time, since no PIN is kept."""
    money = Money(parse_micros(face), _read_currency(desk, currency))
    master = desk.load_master_key()
    await check_master_key(desk.connection, master)
    with new_private_file(file) as out:
        async with desk.connection.transaction():  # the PINs are on disk before the vouchers are good
            batch, made = accept(
                await actions.make_vouchers(
                    desk.connection,
                    desk.at,
                    actor=desk.actor,
                    gates=desk.gates,
                    master=master,
                    face=money,
                    count=count,
                    expires_at=read_time(desk, expires),
                )
            )
            _write_pins(out, desk, batch, made)
    document = {**_describe_batch(BatchTally(batch, used=0, void=0)), "file": str(file)}
    said = (
        f"batch {batch.id}: {count} vouchers of {money}, serial numbers {made[0].serial} to {made[-1].serial}"
    )
    return Answer(document, [said, f"their PINs are in {file}, and nowhere else"], desk.zone)


def _read_currency(desk: Desk, given: str | None) -> Currency:
    if given is None:
        return Currency(desk.config.operator.currency)
    if given.upper() not in NUMERIC_CODES:
        raise Misuse(f"the currency {given!r} is not one of {', '.join(NUMERIC_CODES)}")
    return Currency(given.upper())


def _write_pins(out: TextIO, desk: Desk, batch: VoucherBatch, made: Sequence[NewVoucher]) -> None:
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS)
    amount, _, currency = str(batch.face).partition(" ")
    expires_at = batch.expires_at.astimezone(desk.zone).isoformat()
    writer.writerows((one.serial, one.pin, amount, currency, expires_at) for one in made)
    put_on_disk(out)


@desk_command(app, "list")
async def list_(
    desk: Desk,
    batch: Annotated[
        int | None,
        typer.Argument(
            metavar="[BATCH]", min=1, max=ID_HIGHEST, help="The vouchers of this batch; else all batches."
        ),
    ] = None,
    serial: SerialOption = None,
    before: Annotated[
        int,
        typer.Option(
            "--before", metavar="BATCH", min=1, help="Of batches: go on with those before this one."
        ),
    ] = ID_HIGHEST,
    after: Annotated[
        int,
        typer.Option(
            "--after", metavar="SERIAL", min=0, help="Of vouchers: go on with those after this one."
        ),
    ] = 0,
    most: MostOption = 50,
) -> Answer:
    """List the batches, the latest first, or the vouchers of one: by serial number, never the PIN."""
    if serial is not None:
        return await _list_one(desk, serial)
    if batch is not None:
        return await _list_vouchers(desk, batch, after, most)
    tallies = await store.list_batches(desk.connection, before=before, most=most)
    rows = [_describe_batch(tally) for tally in tallies]
    following = rows[-1]["batch"] if len(rows) == most else None
    columns = ("batch", "face", "count", "used", "void", "expires_at", "made_at", "made_by")
    table = Table(columns, rows, empty="no vouchers were made")
    hint = f"more: --before {following}" if following else None
    return Answer({"batches": rows, "next": following}, [table], desk.zone, hint=hint)


async def _list_one(desk: Desk, serial: int) -> Answer:
    voucher = await store.find_voucher(desk.connection, serial)
    row = _describe(desk, accept(voucher or VoucherRefusal.UNKNOWN_SERIAL))
    return Answer(row, [Table(VOUCHER_COLUMNS, [row])], desk.zone)


async def _list_vouchers(desk: Desk, batch_id: int, after: int, most: int) -> Answer:
    accept(await store.find_batch(desk.connection, batch_id) or VoucherRefusal.UNKNOWN_BATCH)
    vouchers = await store.list_vouchers(desk.connection, batch_id, after=after, most=most)
    rows = [_describe(desk, voucher) for voucher in vouchers]
    following = rows[-1]["serial"] if len(rows) == most else None
    table = Table(VOUCHER_COLUMNS, rows, empty="no more vouchers")
    hint = f"more: --after {following}" if following else None
    return Answer({"vouchers": rows, "next": following}, [table], desk.zone, hint=hint)


@desk_command(app, "void")
async def void(
    desk: Desk,
    batch: Annotated[
        int | None,
        typer.Argument(metavar="[BATCH]", min=1, max=ID_HIGHEST, help="All of this batch that was not used."),
    ] = None,
    serial: SerialOption = None,
) -> Answer:
    """Make vouchers worthless that were not used: those of a batch, or one. It cannot be undone."""
    if (batch is None) == (serial is None):
        raise Misuse("give a batch, or the --serial number of one voucher")
    if serial is not None:
        voucher = await actions.void_voucher(desk.connection, desk.at, actor=desk.actor, serial=serial)
        return Answer(_describe(desk, accept(voucher)), [f"voucher {serial} is void"], desk.zone)
    assert batch is not None
    count = accept(await actions.void_batch(desk.connection, desk.at, actor=desk.actor, batch_id=batch))
    return Answer(
        {"batch": batch, "voided": count}, [f"{count} vouchers of batch {batch} are void now"], desk.zone
    )


def _describe_batch(tally: BatchTally) -> dict[str, Any]:
    batch = tally.batch
    return {
        "batch": batch.id,
        "face": batch.face,
        "count": batch.count,
        "used": tally.used,
        "void": tally.void,
        "expires_at": batch.expires_at,
        "made_at": batch.made_at,
        "made_by": batch.made_by,
    }


def _describe(desk: Desk, voucher: Voucher) -> dict[str, Any]:
    return {
        "serial": voucher.serial,
        "batch": voucher.batch_id,
        "face": voucher.face,
        "state": state_at(voucher, desk.at),
        "expires_at": voucher.expires_at,
        "used_at": voucher.used_at,
        "account": voucher.account_id,
        "voided_at": voucher.voided_at,
    }
