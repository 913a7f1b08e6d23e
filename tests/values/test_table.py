"""Tables made by hand are read, or every fault is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from onecard.values.table import BadTable, Problem, Row, parse_rows, read_table, take_rows


def read(*lines: str, rows_most: int = 10) -> list[Row | Problem]:
    return list(read_table(lines, required=("a", "b"), optional=("c",), rows_most=rows_most))


def test_columns_come_in_any_order_with_spaces_marks_and_blank_lines() -> None:
    assert read("\ufeff B , a\n", "2, 1 \n", "\n", '"x, y",""\n') == [
        Row(2, {"a": "1", "b": "2", "c": ""}),
        Row(4, {"a": "", "b": "x, y", "c": ""}),
    ]


@pytest.mark.parametrize("header", ["", "a\n", "a,b,d\n", "a,b,a\n"])
def test_a_wrong_header_is_refused(header: str) -> None:
    with pytest.raises(BadTable, match=r"header must be a,b\[,c\]"):
        read(header, "1,2\n")


def test_a_row_of_another_width_is_a_problem() -> None:
    assert read("a,b\n", "1\n", "1,2\n", "1,2,3\n") == [
        Problem("line 2", "has 1 cells where the header has 2"),
        Row(3, {"a": "1", "b": "2", "c": ""}),
        Problem("line 4", "has 3 cells where the header has 2"),
    ]


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadTable, match="more than 2 rows"):
        read("a,b\n", *["1,2\n"] * 3, rows_most=2)


def test_a_file_with_broken_quotes_is_refused() -> None:
    with pytest.raises(BadTable, match="cannot be read"):
        read("a,b\n", '"1"x,2\n')


def test_a_file_that_is_not_text_is_refused() -> None:
    def lines() -> Iterator[str]:
        yield "a,b\n"
        yield b"\xff\xff".decode()

    with pytest.raises(BadTable, match="line 2"):
        list(read_table(lines(), required=("a", "b"), rows_most=9))


async def test_rows_are_taken_only_if_all_are_good_and_new() -> None:
    kept: set[int] = {3}

    async def insert(values: Sequence[int]) -> set[int]:
        added = set(values) - kept
        kept.update(added)
        return added

    rows = read("a,b\n", "1,x\n", "two,x\n", "3,x\n", "1,x\n", "5\n")
    parsed = parse_rows(rows, lambda cells: int(cells["a"]))
    with pytest.raises(BadTable) as bad:
        await take_rows(parsed, insert, key=lambda value: value, taken="is taken")
    assert [problem.place for problem in bad.value.problems] == ["line 3", "line 4", "line 5", "line 6"]
    assert str(bad.value).endswith("(and 3 more)")
