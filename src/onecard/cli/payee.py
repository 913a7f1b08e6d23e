"""How a payee is given at the command line: a name, and an account in one of three ways."""

from __future__ import annotations

from typing import Annotated

import typer

from onecard.cli.failures import Misuse
from onecard.payments.bank.model import Payee
from onecard.payments.payees import BadPayee, make_payee, parse_account

PayeeOption = Annotated[
    str | None,
    typer.Option("--payee", metavar="NAME", help="Who is paid, as their bank knows them."),
]
IbanOption = Annotated[str | None, typer.Option("--iban", metavar="IBAN", help="Their account.")]
CanadianOption = Annotated[
    str | None,
    typer.Option(
        "--canadian",
        metavar="ACCOUNT",
        help="Their account in Canada: institution-transit-account, 004-12345-1234567.",
    ),
]
NumberOption = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="NUMBER", help="Another account; name its bank by --clearing or --bic."
    ),
]
ClearingOption = Annotated[
    str | None,
    typer.Option("--clearing", metavar="CODE", help="The bank of --account: CNAPS:102100099996."),
]
BicOption = Annotated[
    str | None, typer.Option("--bic", metavar="BIC", help="The bank of --iban or --account (ISO 9362).")
]


def read_payee(
    name: str | None,
    iban: str | None,
    canadian: str | None,
    account: str | None,
    clearing: str | None,
    bic: str | None,
) -> Payee | None:
    """The payee that was given, if any was; raises Misuse."""
    if (name, iban, canadian, account, clearing, bic) == (None,) * 6:
        return None
    if name is None:
        raise Misuse("give the name of the --payee, too")
    try:
        return make_payee(
            name,
            parse_account(iban=iban, canadian=canadian, account=account, clearing=clearing, bic=bic),
        )
    except BadPayee as error:
        raise Misuse(str(error)) from None
