"""One policy ready for use: read, built, self-tested, and found to do what its suites expect. Immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.policy import suite
from broker.policy.bundle import PolicyBundle
from broker.policy.engine import PolicyEngine
from broker.policy.faults import PolicyInvalid
from broker.policy.source import from_files


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """A bundle and the engine that holds it. Whoever decides keeps one for the whole decision."""

    bundle: PolicyBundle
    engine: PolicyEngine
    loaded_at: datetime

    @property
    def digest(self) -> str:
        """The digest that goes into every decision made under it."""
        return self.bundle.digest


def prepare(files: Mapping[str, bytes], at: datetime) -> PolicySnapshot:
    """All that has to hold before a policy may decide anything. Raises PolicyInvalid, or ConfigurationError."""
    # 1. Every line of it is understood.
    bundle = from_files(files)
    # 2. The engine holds exactly these rows, refuses nonsense, and does what each row says.
    engine = PolicyEngine(bundle)
    # 3. The authors' own suites pass, and leave no row untried.
    report = suite.run(engine, bundle)
    if report.faults:
        raise PolicyInvalid(report.faults)
    return PolicySnapshot(bundle, engine, at)
