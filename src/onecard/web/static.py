"""Style sheets, scripts and pictures: read once, named by a hash of their contents, so that browsers may keep them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from onecard.web.visit import AnyRequest

MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
}
STATIC = "/static/"
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that is the same for everybody."""

    content: bytes
    media_type: str
    etag: str


def _load(folder: Traversable) -> Iterator[tuple[str, StaticFile]]:
    for file in folder.iterdir():
        content = file.read_bytes()
        kind = file.name.rpartition(".")[2]
        yield file.name, StaticFile(content, MEDIA_TYPES[kind], sha256(content).hexdigest()[:16])


FILES = dict(_load(files("onecard.web") / "static"))


def static_url(name: str) -> str:
    """Where a file is; other contents have another address."""
    return f"{STATIC}{name}?{FILES[name].etag}"


@get(f"{STATIC}{{name:str}}")
async def static_file(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """One file; a browser that has it is told that it is still good (RFC 9110 section 13.1.2)."""
    file = FILES.get(name)
    if file is None:
        raise NotFoundException
    headers = {
        "etag": f'"{file.etag}"',
        "cache-control": f"public, max-age={YEAR_SECONDS}, immutable",
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, media_type=file.media_type, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
