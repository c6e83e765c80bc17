"""The database of an index as tests see it: its rows, and changes that bypass the index."""

import sqlite3
from contextlib import closing

from sra_pipelines.index.schema import DATABASE


def change(index, *statements):
    """Run statements on the database of an index."""
    with closing(sqlite3.connect(index / DATABASE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def stored_rows(index, table):
    """Return the rows of a table whose rows belong to documents, by the id of the document."""
    with closing(sqlite3.connect(index / DATABASE)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY document_id").fetchall()  # noqa: S608
