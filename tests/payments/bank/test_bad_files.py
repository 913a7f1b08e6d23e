"""Files that no honest bank sends: each is refused with its line, and none does harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecard.payments.bank import markup, pain001, table
from onecard.payments.bank.files import read_report
from onecard.payments.bank.model import BadBankFile, StatusReport

FILES = Path(__file__).parent / "files"
GOLDEN = {path.name: path.read_bytes() for path in sorted(FILES.iterdir())}
LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">&lol2;</Document>"""
OPEN = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'


def _read(name: str, content: bytes) -> object:
    if name == "payout.csv":
        return table.read_payment_file([content])
    if name == "payout.pain.001.xml":
        return pain001.read_payment_file([content])
    return read_report([content])


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"", 1, "not XML"),
        (b"\n\nhello", 3, "not XML"),
        (LAUGHS, 2, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', 1, "document type"),
        (b"<Document/>", 1, "this is no camt.053 or camt.054"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.052.001.08"/>', 1, "this is no camt.053"),
        (OPEN + b"</Document>", 1, "there is no statement"),
        (OPEN + b"\n&unknown;</Document>", 2, "undefined entity"),
        (b'<?xml version="1.0" encoding="martian"?>' + OPEN + b"</Document>", 1, "encoding"),
        (OPEN + b"<a>" * 100, 1, "nested deeper"),
        (OPEN + b"<a/>" * 30_000, 1, "more than 20000 elements"),
        (OPEN + b"<a>" + b"x" * 10_000, 1, "is longer than 4096"),
        (OPEN + b"\n<a b='" + b"x" * 1_000_000 + b"'/>", 2, "a tag or a text is longer"),
        (b"onecard-status 1,m,o,,,1,1.00,CAD\r\norder,x,settled,,1.00\r\n", 2, "cut off"),
        (
            b"onecard-status 1,m,o,,,1,1.00,CAD\r\norder,x,settled,,1.00\r\nend,2,1.00,CAD\r\n",
            3,
            "the file says 2",
        ),
        (
            b"onecard-status 1,m,o,,,1,1.00,CAD\r\norder,x,settled,,2.00\r\nend,1,1.00,CAD\r\n",
            3,
            "says 1.00 CAD",
        ),
        (b"onecard-status 1,m,o,,,1,1.00,CAD\r\norder,x,lost,,1.00\r\n", 2, "'lost' is none of"),
        (b"onecard-status 1,m,o,,,0,0.00,CAD\r\nend,0,0.00,CAD\r\nmore\r\n", 3, "more after"),
        (b"onecard-status 1,m\xff", 1, "not UTF-8"),
        (b"onecard-status 1," + b"x" * 10_000, 1, "too long"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(content: bytes, line: int, reason: str) -> None:
    with pytest.raises(BadBankFile, match=reason) as caught:
        read_report([content])
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("payout.pain.001.xml", b"<NbOfTxs>2<", b"<NbOfTxs>3<", "counts 3 orders; there are 2"),
        ("payout.pain.001.xml", b"<CtrlSum>12.39<", b"<CtrlSum>12.38<", "sums to 12.38; the orders to 12.39"),
        ("payout.pain.001.xml", b'Ccy="CAD">0.05', b'Ccy="USD">0.05', "in 2 currencies"),
        ("payout.csv", b"0.05,CAD", b"0.06,CAD", "the file says 12.39 CAD"),
        ("payout.csv", b",IBAN,", b",iban,", "an account is an IBAN or a number"),
        (
            "statement.camt.053.001.08.xml",
            b"<NbOfNtries>4<",
            b"<NbOfNtries>5<",
            "counts 5 entries; there are 4",
        ),
        ("statement.camt.053.001.08.xml", b">0.10<", b">-0.10<", "is not an amount"),
        ("statement.camt.053.001.08.xml", b">0.10<", b">1e9999<", "is not an amount"),
        ("statement.camt.053.001.08.xml", b'"CAD">0.10', b'"USD">0.10', "more than one currency"),
        ("statement.camt.053.001.08.xml", b"2022-01-07", b"2022-13-07", "is not a day"),
        ("statement.camt.053.001.08.xml", b">DBIT<", b">BOTH<", "neither CRDT nor DBIT"),
        (
            "status.pain.002.001.10.xml",
            b"<OrgnlEndToEndId>oc-r-1</OrgnlEndToEndId>",
            b"",
            "does not say which",
        ),
        ("status.pain.002.001.10.xml", b"<MsgId>BANK-20220106-1</MsgId>", b"", "GrpHdr has no MsgId"),
        ("status.pain.002.001.10.xml", b"BANK-20220106-1", b"B" * 36, "an identifier has 1 to 35"),
    ],
)
def test_a_file_whose_contents_do_not_agree_is_refused(
    name: str, old: bytes, new: bytes, reason: str
) -> None:
    assert old in GOLDEN[name]
    with pytest.raises(BadBankFile, match=reason):
        _read(name, GOLDEN[name].replace(old, new))


@settings(max_examples=400)
@given(data=st.data())
def test_whatever_is_changed_in_a_file_nothing_but_bad_bank_file_comes_of_it(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(GOLDEN)))
    content = bytearray(GOLDEN[name])
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.integers(0, len(content)))
        last = first + data.draw(st.integers(0, 40))
        words = st.sampled_from(
            [b"9" * 30, b"<", b"</Ntry>", b"\0", b"NaN", b"-1", b"0001-01-01", b"9999-12-31", b'"']
        )
        content[first:last] = data.draw(st.one_of(st.binary(max_size=5), words))
    with suppress(BadBankFile):
        _read(name, bytes(content))


def test_what_is_kept_of_a_large_file_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "KEPT_MOST", 200)
    golden = GOLDEN["status.pain.002.001.10.xml"]
    first = golden.index(b"<TxInfAndSts>")
    last = golden.index(b"</TxInfAndSts>") + len(b"</TxInfAndSts>")

    def chunks() -> Iterator[bytes]:
        yield golden[:first]
        for number in range(5_000):
            yield golden[first:last].replace(b"oc-r-1", b"oc-r-%d" % number)
        yield golden[last:]

    report = read_report(chunks())
    assert isinstance(report, StatusReport)
    assert len(report.statuses) == 5_002


def test_a_file_that_is_too_large_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "FILE_MOST_BYTES", 100_000)
    with pytest.raises(BadBankFile, match="larger than"):
        read_report([OPEN, *[b" " * 10_000] * 20])
