"""Every table there is. A test holds this against what the migrations make."""

from sqlmodel import SQLModel

import broker.audit.tables
import broker.cases.tables
import broker.decision.tables
import broker.grants.tables
import broker.items.tables
import broker.jobs.tables
import broker.participants.tables
import broker.policy.tables
import broker.processes.tables
import broker.products.tables
import broker.recall.tables
import broker.release.exigent.tables
import broker.release.held.tables
import broker.release.permission.tables
import broker.release.tables
import broker.search.tables
import broker.storage.idempotency
import broker.storage.sealing_key  # noqa: F401 - imported, like the rest, so that its tables are known

METADATA = SQLModel.metadata
