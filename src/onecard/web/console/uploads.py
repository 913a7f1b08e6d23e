"""Files that staff bring: read whole, within bounds, as lines of text."""

from __future__ import annotations

from litestar.datastructures import UploadFile

from onecard.values.table import BadTable, Problem
from onecard.web.visit import AnyRequest

UPLOAD_OCTETS_MOST = 20_000_000
"""Hundreds of thousands of rows; the command line takes more."""
PROBLEMS_SHOWN_MOST = 20


async def read_upload(request: AnyRequest, field: str = "file") -> str:
    """The text of a file that came with a form; raises BadTable where there is none, or it is no text."""
    file = (await request.form()).get(field)
    if not isinstance(file, UploadFile) or not file.filename:
        raise BadTable([Problem("the form", "choose a file")])
    try:
        return (await file.read()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadTable([Problem(file.filename[:100], "this is not text in UTF-8")]) from None


def say_problems(bad: BadTable) -> list[str]:
    """What is wrong, line by line, as far as one reads."""
    said = [str(problem) for problem in bad.problems[:PROBLEMS_SHOWN_MOST]]
    more = len(bad.problems) - len(said)
    return [*said, f"and {more} more"] if more else said
