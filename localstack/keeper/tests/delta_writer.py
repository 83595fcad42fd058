"""A Delta table's one writer, in an environment that has deltalake; told what to do line by line.

    append <url>   append until an append fails; tells each version that was acknowledged
    look <url>     tells the newest version, how many rows there are, and the sum of their numbers

Each commit has as many rows as the argument says, all of them the commit's version.
"""

import functools
import sys

from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

tell = functools.partial(print, flush=True)

TABLE = "s3://plain/delta"


def options(url: str) -> dict[str, str]:
    """Return how to reach the emulator: at once, or not at all."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "allow_http": "true",
        "aws_conditional_put": "etag",
        "max_retries": "0",
        "timeout": "20s",
    }


def append(url: str) -> None:
    """Append until it fails."""
    try:
        number = newest(url) + 1
        while True:
            rows = Table.from_pydict({"n": Array([number] * int(sys.argv[1]), DataType.int64())})
            write_deltalake(TABLE, rows, mode="append", storage_options=options(url))
            tell("acknowledged", number)
            number += 1
    except (DeltaError, OSError) as exc:
        tell("failed", str(exc).replace("\n", " "))


def newest(url: str) -> int:
    """Return the newest version; -1 without a table."""
    table = find(url)
    return int(table.version()) if table else -1


def look(url: str) -> None:
    """Tell what is there; without a table, that of the version before the first."""
    table = find(url)
    if table is None:
        tell("found", -1, 0, 0)
        return
    found = QueryBuilder().register("t", table).execute("select count(*), sum(n) from t")
    rows, total = (column[0].as_py() for column in Table.from_arrow(found.read_all()).columns)
    tell("found", table.version(), rows, total)


def find(url: str) -> DeltaTable | None:
    """Return the table, None if its first commit was never made."""
    try:
        return DeltaTable(TABLE, storage_options=options(url))
    except TableNotFoundError:
        return None


def main() -> None:
    """Do what each line says."""
    tasks = {"append": append, "look": look}
    for line in sys.stdin:
        task, url = line.split()
        tasks[task](url)


if __name__ == "__main__":
    main()
