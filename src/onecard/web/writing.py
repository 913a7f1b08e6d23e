"""Write amounts, times and numbers as people of a language do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

import phonenumbers
from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal

from onecard.values.hours import Hours
from onecard.values.language import Language
from onecard.values.money import MICROS, Money

KILOBYTE, MEGABYTE = 1000, 1_000_000
Unit = Literal["day", "hour", "minute"]
SPANS: dict[Unit, int] = {"day": 86_400, "hour": 3600, "minute": 60}
"""Units that a span is told in, in seconds, the largest first."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A language, and the time zone that times are told in."""

    language: Language
    zone: tzinfo

    @property
    def locale(self) -> Locale:
        return Locale.parse(self.language.value, sep="-")

    def money(self, amount: Money) -> str:
        """An amount, rounded down to what can be paid."""
        places = 2 if amount.micros % MICROS else None
        whole = Decimal(amount.micros // 10_000) / 100 if places else Decimal(amount.micros) / MICROS
        return format_currency(whole, amount.currency, locale=self.locale)

    def price(self, amount: Money) -> str:
        """An amount to the last millionth, as a price may have it."""
        exact = Decimal(amount.micros) / MICROS
        return format_currency(
            exact, amount.currency, locale=self.locale, currency_digits=False, decimal_quantization=False
        )

    def day(self, day: date) -> str:
        """A day, of a date or of an instant."""
        local = day.astimezone(self.zone) if isinstance(day, datetime) else day
        return format_date(local, "long", locale=self.locale)

    def moment(self, instant: datetime) -> str:
        """Day and time to the minute."""
        local = instant.astimezone(self.zone)
        day = format_date(local, "medium", locale=self.locale)
        clock = format_time(local, "short", locale=self.locale)
        pattern = str(self.locale.datetime_formats["medium"])
        return pattern.replace("{1}", day).replace("{0}", clock)

    def clock(self, instant: datetime) -> str:
        """The time to the second."""
        return format_time(instant.astimezone(self.zone), "medium", locale=self.locale)

    def span(self, span: timedelta) -> str:
        """How long, in whole days, or at the end in hours and minutes."""
        seconds = int(span.total_seconds())
        unit: Unit = next((unit for unit, size in SPANS.items() if seconds >= 2 * size), "minute")
        return format_timedelta(
            timedelta(seconds=seconds // SPANS[unit] * SPANS[unit]),
            granularity=unit,
            threshold=seconds + 1,  # so that no larger unit is taken
            locale=self.locale,
        )

    def number(self, number: int) -> str:
        return format_decimal(number, locale=self.locale)

    def minutes(self, seconds: int) -> str:
        """The length of a call: minutes and seconds."""
        return f"{seconds // 60}:{seconds % 60:02d}"

    def size(self, octets: int) -> str:
        """An amount of data, in megabytes or less."""
        if octets < KILOBYTE:
            return f"{octets} B"
        if octets < MEGABYTE:
            return f"{format_decimal(octets // KILOBYTE, locale=self.locale)} kB"
        return f"{format_decimal(round(octets / MEGABYTE, 1), locale=self.locale)} MB"

    def amount_of(self, usage: str, units: int) -> str:
        """Units of an allowance as people count them."""
        if usage == "data":
            return self.size(units)
        return self.number(units) if usage == "text" else self.minutes(units)

    def weekday(self, day: int) -> str:
        """The name of a day, Monday being 1."""
        name: str = self.locale.days["stand-alone"]["abbreviated"][day - 1]
        return name

    def hours(self, hours: Hours) -> str:
        """Days and hours of a schedule."""
        days = sorted(hours.days)
        if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
            named = f"{self.weekday(days[0])} – {self.weekday(days[-1])}"
        else:
            named = ", ".join(map(self.weekday, days))
        return f"{named} {hours.begin:%H:%M}–{hours.end:%H:%M}"

    def country(self, code: str) -> str:
        """The name of a country."""
        name: str | None = self.locale.territories.get(code)
        return name or code

    def phone(self, number: str) -> str:
        """A number in the groups its country writes it in; what is no number stays as it is."""
        try:
            parsed = phonenumbers.parse(number if number[1:].isdigit() else "")
        except phonenumbers.NumberParseException:
            return number
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)

    def iso(self, instant: datetime) -> str:
        """For the machine: what `<time datetime>` holds."""
        return instant.astimezone(self.zone).isoformat("T", "seconds")
