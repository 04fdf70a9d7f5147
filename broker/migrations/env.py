"""What alembic runs. The connection is given to it; see ``run``."""

from alembic import context

from broker.migrations.metadata import METADATA

# The job library brings its own tables, and its own migrations for them.
_FOREIGN = "procrastinate_"


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and (name or "").startswith(_FOREIGN))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    include_name=_is_ours,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
