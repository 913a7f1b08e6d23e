"""Pages as a node serves them: over TLS, with codes that really go to the card."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from gateways.smpp.peers.certificates import make_certificates
from onecard.database.pool import Database, connection
from onecard.messages.commands import words_of
from onecard.messages.model import Content
from town import open_town, sell_card_with_two_lines, stock_up
from web.pages import code_in, token_of


async def test_a_node_serves_its_pages_over_tls_and_texts_the_code(
    database: Database, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path)
    async with connection(database.pool) as borrowed:
        await stock_up(borrowed)
        card = await sell_card_with_two_lines(borrowed)
    web = {
        "listen": "127.0.0.1:0",
        "url": "https://care.example.net",
        "tls": {"listen": "127.0.0.1:0", "certificate": str(made.certificate), "key": str(made.key)},
    }
    async with open_town(database, cards=[card], web=web) as town:
        trusting = ssl.create_default_context(cafile=str(made.authority))
        url = f"https://{town.node.addresses.web_tls}"
        async with httpx.AsyncClient(verify=trusting, base_url=url, trust_env=False) as browser:
            page = await browser.get("/sign-in")
            assert page.headers["strict-transport-security"]
            assert page.headers["set-cookie"].startswith("__Host-onecard=")
            fields = {"number": "+16045550100", "form_token": token_of(page.text)}
            assert (await browser.post("/sign-in/code", data=fields)).status_code == 200
            await town.settle(lambda: town.host.texts, "the code")
            text = town.host.texts[-1]
            code = code_in(words_of(Content(text.body, text.data_coding)))
            done = await browser.post("/sign-in", data={**fields, "code": code})
            assert (done.status_code, done.headers["location"]) == (303, "/")
            assert "+86 138 0013 8000" in (await browser.get("/")).text
        machines = httpx.AsyncClient(base_url=f"http://{town.node.addresses.web}", trust_env=False)
        async with machines as machine:
            for path in ("/health", "/metrics", "/verification/applications/1/outcome"):
                assert (await machine.get(path)).status_code == 404, path
