"""A persistent OVSDB connection that sends transactions and nothing else (RFC 7047).

It keeps no copy of the database: the fastest way for a client to make a change, and the same
for every system that is measured.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.waiting import wait_for

Row = dict[str, Any]
Operation = dict[str, Any]


class OvsdbError(RuntimeError):
    """The server refused a transaction."""


def ovs_map(values: dict[str, str]) -> list[Any]:
    """Return *values* as an OVSDB map."""
    return ["map", [[key, value] for key, value in values.items()]]


def ovs_set(values: list[Any]) -> list[Any]:
    """Return *values* as an OVSDB set."""
    return ["set", values]


def insert(table: str, row: Row, name: str | None = None) -> Operation:
    """Return an insertion; *name* lets later operations refer to the row by named-uuid."""
    operation: Operation = {"op": "insert", "table": table, "row": row}
    return operation | {"uuid-name": name} if name else operation


def where(column: str, value: object) -> list[Any]:
    """Return the condition that *column* equals *value*."""
    return [[column, "==", value]]


class Ovsdb:
    """One connection to one database behind a Unix socket."""

    def __init__(self, path: Path, database: str) -> None:
        self._database = database
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._buffer = b""
        self._next = 0

    @classmethod
    def await_server(cls, path: Path, database: str) -> "Ovsdb":
        """Connect as soon as a server that was just started takes connections.

        Raises:
            TooLongError: it did not within 10 s.
        """

        def connected() -> "Ovsdb | None":
            # The socket is there a moment before the server listens on it.
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return cls(path, database)
            return None

        found = wait_for(f"the OVSDB server at {path}", connected, timeout=10)
        assert found is not None
        return found

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def transact(self, *operations: Operation) -> list[Row]:
        """Commit *operations* as one transaction and return their results in order.

        Raises:
            OvsdbError: an operation failed; nothing was committed.
        """
        results = self._call("transact", [self._database, *operations])
        for result in results:
            if result and result.get("error"):
                raise OvsdbError(f"{result['error']}: {result.get('details', '')}")
        return results

    def select(self, table: str, condition: list[Any], columns: list[str]) -> list[Row]:
        """Return *columns* of the rows of *table* that meet *condition*."""
        operation = {"op": "select", "table": table, "where": condition, "columns": columns}
        return self.transact(operation)[0]["rows"]

    def update(self, table: str, condition: list[Any], row: Row) -> None:
        """Set *row*'s columns in the rows of *table* that meet *condition*."""
        self.transact({"op": "update", "table": table, "where": condition, "row": row})

    def monitor(self, table: str, columns: list[str]) -> None:
        """Ask to be told of changes of *columns* in *table*; :meth:`changes` gives them."""
        self._call("monitor", [self._database, None, {table: {"columns": columns}}])

    def changes(self) -> Iterator[dict[str, Any]]:
        """Yield changes of monitored tables (RFC 7047, table-updates) until the connection ends."""
        while True:
            try:
                message = self._receive()
            except (OSError, OvsdbError):
                return
            if message.get("method") == "update":
                yield message["params"][1]

    def _call(self, method: str, params: list[Any]) -> Any:
        self._next += 1
        request = {"method": method, "params": params, "id": self._next}
        self._socket.sendall(json.dumps(request).encode())
        while True:
            message = self._receive()
            if message.get("method") == "echo":
                answer = {"id": message["id"], "result": message["params"], "error": None}
                self._socket.sendall(json.dumps(answer).encode())
            elif message.get("id") == self._next and "result" in message:
                if message.get("error"):
                    raise OvsdbError(str(message["error"]))
                return message["result"]

    def _receive(self) -> dict[str, Any]:
        decoder = json.JSONDecoder()
        while True:
            # An object can only be complete once a closing brace has come last.
            if self._buffer.endswith(b"}") or b"}{" in self._buffer:
                text = self._buffer.decode()
                try:
                    message, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    pass
                else:
                    self._buffer = text[end:].encode()
                    return message
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                raise OvsdbError("the server closed the connection")
            self._buffer += chunk
