"""Serve a directory in a process of its own, until killed.

    python run_serve.py CONFIG.json DIRECTORY

The configuration is the JSON form of `Config`; secrets come from the environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import uvloop

from onecard.node.config import Config
from onecard.node.serve import serve

if __name__ == "__main__":
    settings = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Config)
    uvloop.run(serve(settings, directory=Path(sys.argv[2]), database_url=None))
