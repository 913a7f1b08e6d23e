"""Metrics for Prometheus, read off the links at the moment they are asked for: counting costs the traffic nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from onecard.gateways.smpp.link import Link


class LinkCollector(Collector):
    """Sessions, texts that wait, and what passed, of each link."""

    def __init__(self, links: Mapping[str, Link]) -> None:
        self._links = links

    def collect(self) -> Iterator[Metric]:
        sessions = GaugeMetricFamily("onecard_link_sessions", "Bound sessions", labels=["link"])
        waiting = GaugeMetricFamily(
            "onecard_link_texts_waiting", "Texts that wait for the link", labels=["link"]
        )
        passed = CounterMetricFamily(
            "onecard_link_passed", "Texts and receipts that passed", labels=["link", "what"]
        )
        for name, link in self._links.items():
            sessions.add_metric([name], link.bound_count)
            waiting.add_metric([name], link.exchange.queues.of(name).waiting)
            for what, count in asdict(link.counts).items():
                passed.add_metric([name, what], count)
        yield from (sessions, waiting, passed)


def registry_of(links: Mapping[str, Link]) -> CollectorRegistry:
    """A registry of its own: nodes in one process do not mix."""
    registry = CollectorRegistry()
    registry.register(LinkCollector(links))
    return registry
