"""What Alembic runs to migrate: on the connection that `shared.catalogue` gives."""

from __future__ import annotations

from alembic import context

from shared.catalogue.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most of a table: Alembic then copies it.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
