"""The service's traffic with its partners, written for Prometheus.

Each process has its own series, so that a restart is seen as one. Nothing in here depends on what an answer said.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from broker.kernel.ids import PartnerId
from broker.oversight.traffic import Waiting
from broker.partners.calls import BOUNDS
from broker.partners.circuit import CircuitState
from broker.partners.line import Line
from broker.processes.model import Process

_BY_PROCESS: Final = ("partner", "host", "process")
_CIRCUIT: Final = {state: float(number) for number, state in enumerate(CircuitState)}


def written(processes: Iterable[Process], lines: Mapping[PartnerId, Line], waiting: Waiting) -> bytes:
    """The exposition."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once([*_calls(processes), *_state(lines, waiting)]))
    return generate_latest(registry)


class _Once:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _calls(processes: Iterable[Process]) -> Iterator[Metric]:
    calls = CounterMetricFamily("broker_partner_calls", "Calls that ended, by health.", labels=(*_BY_PROCESS, "health"))
    seconds = HistogramMetricFamily("broker_partner_call_seconds", "How long calls took.", labels=_BY_PROCESS)
    running = GaugeMetricFamily(
        "broker_process_running", "Whether it was heard of lately.", labels=("kind", "host", "process")
    )
    loaded = GaugeMetricFamily(
        "broker_policy_loaded_seconds", "Since when its policy is loaded.", labels=("host", "process", "digest")
    )
    for one in processes:
        running.add_metric((one.kind.value, one.host, one.id), float(one.fresh))
        loaded.add_metric((one.host, one.id, one.digest), one.digest_since.timestamp())
        for partner, counted in sorted(one.calls.items()):
            place = (partner, one.host, one.id)
            for health, number in sorted(counted["ends"].items()):
                calls.add_metric((*place, health), number)
            ends = (*map(str, BOUNDS), "+Inf")
            buckets = [(end, float(total)) for end, total in zip(ends, accumulate(counted["buckets"]), strict=True)]
            seconds.add_metric(place, buckets, counted["seconds"])
    yield from (calls, seconds, running, loaded)


def _state(lines: Mapping[PartnerId, Line], waiting: Waiting) -> Iterator[Metric]:
    circuit = GaugeMetricFamily(
        "broker_partner_circuit",
        f"{', '.join(f'{int(n)} {s.value}' for s, n in _CIRCUIT.items())}.",
        labels=("partner",),
    )
    failures = GaugeMetricFamily("broker_partner_failures", "Calls in a row without an answer.", labels=("partner",))
    for partner, line in sorted(lines.items()):
        circuit.add_metric((partner,), _CIRCUIT[line.circuit.state])
        failures.add_metric((partner,), line.circuit.failures)
    legs = GaugeMetricFamily("broker_legs_open", "Legs without an end, by state.", labels=("partner", "state"))
    for (name, state), number in sorted(waiting.legs.items()):
        legs.add_metric((name, state), number)
    oldest = GaugeMetricFamily("broker_legs_oldest_due_seconds", "How long the longest due leg waits for a worker.")
    oldest.add_metric((), waiting.oldest_due_seconds)
    outbox = GaugeMetricFamily("broker_messages_undelivered", "Messages not brought yet.", labels=("agency",))
    for agency, number in sorted(waiting.undelivered.items()):
        outbox.add_metric((agency,), number)
    entries = GaugeMetricFamily("broker_audit_unsequenced_seconds", "Age of the oldest entry under no checkpoint.")
    entries.add_metric((), waiting.unsequenced_seconds)
    yield from (circuit, failures, legs, oldest, outbox, entries)
