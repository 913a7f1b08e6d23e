"""The rows of price books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from onecard.catalogue.model import (
    Plan,
    PlanAllowance,
    PriceBook,
    PriceList,
    Prorating,
    Rate,
    Tariff,
    UsageKind,
)
from onecard.catalogue.rules import format_all_hours, index_price_book, parse_all_hours
from onecard.database.pool import Connection
from onecard.values.money import Currency
from onecard.values.phone import Country

INSERT_BOOK = """
INSERT INTO price_book (name, currency, effective_from, imported_at) VALUES ($1, $2, $3, $4) RETURNING id"""
INSERT_RATES = """
INSERT INTO rate (price_book_id, usage, line_country, prefix, zone, hours, price_micros, price_units, first_block,
                  next_block, setup_micros, minimum_micros)
SELECT $1, r.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                           $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[]) r"""
INSERT_ZONES = """
INSERT INTO roaming_zone (price_book_id, network, zone) SELECT $1, z.* FROM unnest($2::text[], $3::text[]) z"""
INSERT_PLAN = """
INSERT INTO plan (price_book_id, name, fee_micros, first_months_free, prorating, reserve_days, overage)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
INSERT_ALLOWANCE = """
INSERT INTO plan_allowance (price_book_id, plan, place, usage, units_a_month, line_countries, zones)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
LIST_BOOKS = "SELECT id, name, currency, effective_from FROM price_book ORDER BY effective_from DESC, id DESC"
LIST_RATES = "SELECT * FROM rate"
LIST_ZONES = "SELECT price_book_id, network, zone FROM roaming_zone"
LIST_PLANS = "SELECT * FROM plan"
LIST_ALLOWANCES = "SELECT * FROM plan_allowance ORDER BY price_book_id, plan, place"
RECORD_CHANGE = "SELECT record_change('tariff', $1, $2)"


async def insert_price_book(connection: Connection, prices: PriceList, at: datetime) -> PriceBook:
    """Add a book with all that is in it. The constraint ``price_book_is_new`` refuses a second one of an instant."""
    book_id: int = await connection.fetchval(
        INSERT_BOOK, prices.name, prices.currency, prices.effective_from, at
    )
    await connection.execute(INSERT_RATES, book_id, *_columns_of(prices.rates))
    await connection.execute(INSERT_ZONES, book_id, list(prices.zones), list(prices.zones.values()))
    for plan in prices.plans:
        await _insert_plan(connection, book_id, plan)
    return index_price_book(book_id, prices)


def _columns_of(rates: Sequence[Rate]) -> list[list[Any]]:
    return [
        [rate.usage.value for rate in rates],
        [rate.line_country for rate in rates],
        [rate.prefix for rate in rates],
        [rate.zone for rate in rates],
        [format_all_hours(rate.hours) for rate in rates],
        [rate.price_micros for rate in rates],
        [rate.price_units for rate in rates],
        [rate.first_block for rate in rates],
        [rate.next_block for rate in rates],
        [rate.setup_micros for rate in rates],
        [rate.minimum_micros for rate in rates],
    ]


async def _insert_plan(connection: Connection, book_id: int, plan: Plan) -> None:
    await connection.execute(
        INSERT_PLAN,
        book_id,
        plan.name,
        plan.fee_micros,
        plan.first_months_free,
        plan.prorating.value,
        plan.reserve_days,
        plan.overage,
    )
    rows = [
        (book_id, plan.name, place, one.usage.value, one.units_a_month, one.line_countries, one.zones)
        for place, one in enumerate(plan.allowances, 1)
    ]
    await connection.executemany(INSERT_ALLOWANCE, rows)


async def load_tariff(connection: Connection) -> Tariff:
    """All price books with all that is in them."""
    books = await connection.fetch(LIST_BOOKS)  # first: a book and what is in it are committed together
    rates: dict[int, list[Rate]] = defaultdict(list)
    for row in await connection.fetch(LIST_RATES):
        rates[row["price_book_id"]].append(_read_rate(row))
    zones: dict[int, dict[str, str]] = defaultdict(dict)
    for row in await connection.fetch(LIST_ZONES):
        zones[row["price_book_id"]][row["network"]] = row["zone"]
    plans = await _load_plans(connection)
    return Tariff(
        tuple(_read_book(row, rates[row["id"]], zones[row["id"]], plans[row["id"]]) for row in books)
    )


def _read_book(
    row: asyncpg.Record, rates: Sequence[Rate], zones: dict[str, str], plans: Sequence[Plan]
) -> PriceBook:
    currency, effective_from = Currency(row["currency"]), row["effective_from"]
    return index_price_book(
        row["id"], PriceList(row["name"], currency, effective_from, tuple(rates), zones, tuple(plans))
    )


def _read_rate(row: asyncpg.Record) -> Rate:
    return Rate(
        UsageKind(row["usage"]),
        Country(row["line_country"]),
        row["price_micros"],
        row["price_units"],
        row["prefix"],
        row["zone"],
        parse_all_hours(row["hours"]),
        row["first_block"],
        row["next_block"],
        row["setup_micros"],
        row["minimum_micros"],
    )


async def _load_plans(connection: Connection) -> dict[int, list[Plan]]:
    """The plans of each book."""
    allowances: dict[tuple[int, str], list[PlanAllowance]] = defaultdict(list)
    rows = await connection.fetch(LIST_PLANS)
    for row in await connection.fetch(LIST_ALLOWANCES):
        allowances[row["price_book_id"], row["plan"]].append(_read_allowance(row))
    plans: dict[int, list[Plan]] = defaultdict(list)
    for row in rows:
        book_id = row["price_book_id"]
        plans[book_id].append(_read_plan(row, allowances[book_id, row["name"]]))
    return plans


def _read_plan(row: asyncpg.Record, allowances: Sequence[PlanAllowance]) -> Plan:
    return Plan(
        row["name"],
        row["fee_micros"],
        row["first_months_free"],
        Prorating(row["prorating"]),
        row["reserve_days"],
        row["overage"],
        tuple(allowances),
    )


def _read_allowance(row: asyncpg.Record) -> PlanAllowance:
    countries = tuple(map(Country, row["line_countries"]))
    return PlanAllowance(UsageKind(row["usage"]), row["units_a_month"], countries, tuple(row["zones"]))


async def record_change(connection: Connection, book_id: int, at: datetime) -> None:
    """Tell every node to read the tariff again."""
    await connection.execute(RECORD_CHANGE, book_id, at)
