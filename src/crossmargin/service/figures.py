"""What ``/metrics`` reads when it is asked: where engine, queue, tables, feeds, streams and disk stand at that moment.

A service that is still opening, or whose writer has stopped, is measured too: then only what needs no engine is told.
"""

import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crossmargin.engine.engine import Engine
from crossmargin.engine.state import ALLOWED
from crossmargin.errors import CrossMarginError
from crossmargin.ledger.account import INSURANCE
from crossmargin.service.access.guard import Access
from crossmargin.service.stream import Hub
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer

NS = 1e9
Family = type[GaugeMetricFamily] | type[CounterMetricFamily]


class Figures(Collector):
    """Reads a writer, its feeds, the hub of its streams, and what was found of the log of who did what."""

    def __init__(
        self,
        writer: Writer,
        feeds: Callable[[], Record],
        hub: Callable[[], Hub | None],
        access: Access | None = None,
    ) -> None:
        self._writer, self._feeds, self._hub, self._access = writer, feeds, hub, access

    def collect(self) -> Iterable[Metric]:
        """Yield every figure as it is now."""
        yield from self._process()
        if self._writer.is_ready:
            with self._writer.lock:
                found = [*_whole(self._writer.engine), *_market(self._writer.engine)]
            yield from found
        yield from _fed(self._feeds())

    def _process(self) -> Iterable[Metric]:
        writer, hub = self._writer, self._hub()
        yield _gauge("up", "Whether the engine takes commands.", writer.is_ready and writer.failure is None)
        yield _gauge("queue_length", "Commands that wait for the writer.", writer.waiting)
        yield _gauge("journal_record", "Number of the journal's last record.", writer.record)
        yield _gauge("disk_free_bytes", "Room on the journal's disk.", shutil.disk_usage(writer.folder).free)
        if writer.projector is not None:
            yield _gauge("projection_up", "Whether the tables' database answers.", writer.projector.failure is None)
            yield _gauge("projection_lag_records", "Records that the tables are behind.", writer.projector.lag)
        altered = self._access is not None and self._access.log_finding is not None
        yield _gauge("audit_log_altered", "Whether the log of who did what was found altered at the start.", altered)
        if hub is not None:
            yield _gauge("streams", "Subscribers of the stream.", len(hub.subscribers))
            yield _counter("streams_dropped", "Subscribers let go because they did not read.", hub.dropped)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"crossmargin_{name}", what, value=float(value))


def _counter(name: str, what: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"crossmargin_{name}", what, value=float(value))


def _by(kind: Family, name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = kind(f"crossmargin_{name}", what, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], float(value))
    return family


def _whole(engine: Engine) -> Sequence[Metric]:
    """Sums over accounts; an account without a price has no figures and is counted as such."""
    state = engine.state
    equity, initial, maintenance, unpriced = [], [], [], 0
    for name, account in state.accounts.items():
        if account.state == "CLOSED":
            continue
        try:
            health = engine.health(name)
        except CrossMarginError:
            unpriced += 1
            continue
        equity.append(health.equity)
        initial.append(health.initial)
        maintenance.append(health.maintenance)
    states = dict.fromkeys(ALLOWED, 0) | Counter(each.state for each in state.accounts.values())
    money = state.parameters.money
    quantum = state.assets[money].quantum if money in state.assets else 0
    fund = float(state.ledger.balance(INSURANCE, money) * quantum)
    return [
        _by(GaugeMetricFamily, "accounts", "Accounts by state.", "state", states),
        _gauge("accounts_unpriced", "Accounts that cannot be valued for want of a price.", unpriced),
        _gauge("equity_usd", "Equity of all accounts.", math.fsum(equity)),
        _gauge("initial_margin_usd", "Initial margin of all accounts.", math.fsum(initial)),
        _gauge("maintenance_margin_usd", "Maintenance margin of all accounts.", math.fsum(maintenance)),
        _gauge("insurance_fund_usd", "What the insurance fund holds.", fund),
        _gauge("margin_calls_open", "Margin calls not met yet.", sum(a.call is not None for a in state.accounts.values())),
        _gauge("liquidations_open", "Accounts being liquidated.", len(state.liquidations)),
        _gauge("halted", "Whether a breaker has halted the engine.", state.halt is not None),
    ]  # fmt: skip


def _market(engine: Engine) -> Sequence[Metric]:
    """Ages of index prices by the engine's own time, and whether they may be used."""
    now_ns, index = engine.state.time_ns, engine.state.market.index
    ages = {coin: (now_ns - seen.time_ns) / NS for coin, seen in index.items()}
    good = {coin: seen.quality == "GOOD" for coin, seen in index.items()}
    return [
        _by(GaugeMetricFamily, "index_age_seconds", "Age of an index price.", "asset", ages),
        _by(GaugeMetricFamily, "index_good", "Whether an index price has the quality GOOD.", "asset", good),
        _gauge("engine_time_seconds", "Time at which the engine stands, s since 1970.", now_ns / NS),
        _gauge("engine_sequence", "Commands applied since the journal began.", engine.state.sequence),
    ]


def _fed(status: Record) -> Iterable[Metric]:
    sources = {each["source"]: each for each in status["sources"]}
    ages = {name: each["age_ms"] / 1e3 for name, each in sources.items() if each["age_ms"] is not None}
    yield _by(GaugeMetricFamily, "feed_age_seconds", "Age of a source's last price.", "source", ages)
    accepted = {name: each["accepted"] for name, each in sources.items()}
    rejected = {name: sum(each["rejected"].values()) for name, each in sources.items()}
    yield _by(CounterMetricFamily, "feed_accepted", "Prices accepted, by source.", "source", accepted)
    yield _by(CounterMetricFamily, "feed_rejected", "Prices rejected, by source.", "source", rejected)
    connections = {each["source"]: each for each in status["connections"]}
    for what, said in (("sessions", "Sessions begun"), ("gaps", "Gaps found"), ("messages", "Messages read")):
        counts = {name: each[what] for name, each in connections.items()}
        yield _by(CounterMetricFamily, f"feed_{what}", f"{said}, by venue.", "venue", counts)
    yield _counter("feed_updates", "Market updates that feeds asked for.", status["updates"])
    yield _counter("feed_coalesced", "Prices overtaken by a later one before they were sent.", status["coalesced"])
    yield _by(CounterMetricFamily, "feed_refused", "Prices turned away, by reason.", "reason", status["refused"])
