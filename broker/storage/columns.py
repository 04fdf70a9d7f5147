"""What every package's table definitions share: the moment column, the text list, and the Core table of a model."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ARRAY, Column, DateTime, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel


def moment(*, nullable: bool = False) -> Column[datetime]:
    """A timestamp with time zone."""
    return Column(DateTime(timezone=True), nullable=nullable)


def words(*, nullable: bool = False) -> Column[list[str]]:
    """An array of text."""
    return Column(ARRAY(Text), nullable=nullable)


def octets(*, nullable: bool = False) -> Column[bytes]:
    """Bytes as they are."""
    return Column(LargeBinary, nullable=nullable)


def document(*, nullable: bool = False) -> Column[Any]:
    """JSON that PostgreSQL can look into."""
    return Column(JSONB, nullable=nullable)


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model: statements go through Core, so that nothing is loaded or written implicitly."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]
