"""OVSDB driver: the rows that the agent watches and the wishes that it carries out.

The only module that imports ovs and ovsdbapp. ovsdbapp's connection runs the replica in its own
thread; changes are handed to a listener as frozen rows, in that thread.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ovs.json
from ovsdbapp.backend.ovs_idl import command, connection, idlutils, transaction

from agent import ovsdb_json, ovsdb_rows
from agent.decide.rows import BridgeRow, InterfaceRow, Wish

log = logging.getLogger(__name__)

if ovs.json.PARSER != ovs.json.PARSER_C:
    ovs.json.Parser = ovsdb_json.Parser

DATABASE = "Open_vSwitch"
_COLUMNS = {
    "Open_vSwitch": ("bridges", "ssl", "ovs_version"),
    "Bridge": (
        "name",
        "datapath_type",
        "datapath_id",
        "fail_mode",
        "protocols",
        "other_config",
        "external_ids",
        "ports",
        "controller",
        "flood_vlans",
    ),
    "Port": ("name", "interfaces", "tag", "external_ids"),
    "Interface": (
        "name",
        "type",
        "options",
        "external_ids",
        "ofport",
        "ofport_request",
        "error",
        "link_state",
        "admin_state",
        "mac_in_use",
        "bfd",
        "bfd_status",
    ),
    "Controller": (
        "target",
        "connection_mode",
        "inactivity_probe",
        "max_backoff",
        "external_ids",
    ),
    "SSL": ("private_key", "certificate", "ca_cert", "external_ids"),
}
_TIMEOUT_S = 5.0
_RETRY_S = 0.2
_BACKOFF_MS = (50, 1000)


class OvsdbError(Exception):
    """OVSDB does not answer, or refused a transaction."""


@dataclass(frozen=True, slots=True)
class Change:
    """What changed since the last one.

    Attributes:
        connected: whether the replica is in step with the server.
        interfaces: rows that were made or changed.
        gone: UUIDs of rows that went.
        everything: ``interfaces`` is every row there is; forget all others.
        structure: a bridge, port, controller or SSL row changed, or an interface's options.
    """

    connected: bool
    interfaces: tuple[InterfaceRow, ...] = ()
    gone: tuple[str, ...] = ()
    everything: bool = False
    structure: bool = False


Listener = Callable[[Change], None]


class _Replica(connection.OvsdbIdl):
    """The in-memory copy of the tables above; tells its listener after every batch."""

    def __init__(self, remote: str, helper: Any, *, bridge: str) -> None:
        super().__init__(remote, helper)
        for table in ovsdb_rows.INDEXED:
            self.index_create(table, ovsdb_rows.INDEX).add_column("name")
        self._session.reconnect.set_backoff(*_BACKOFF_MS)
        self._listener: Listener | None = None
        self._bridge = bridge
        self._dirty: dict[Any, Any] = {}
        self._gone: set[str] = set()
        self._structure = False
        self._elsewhere = False  # another bridge may have got or lost ports
        self._known: set[Any] = set()
        self._connected = False
        self._foreign: frozenset[Any] = frozenset()

    def cooperative_yield(self) -> None:
        """Go on: this is a thread, which the interpreter interrupts when others have to run."""

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        """Remember what changed; called for each row within :meth:`run`."""
        table = row._table.name
        if table != "Interface":
            self._structure |= ovsdb_rows.is_structure(table, event, row, updates)
            self._elsewhere |= table == "Bridge" and row.name != self._bridge
        elif event == "delete":
            self._dirty.pop(row.uuid, None)
            self._known.discard(row.uuid)
            self._gone.add(str(row.uuid))
        else:
            self._dirty[row.uuid] = row
            self._known.add(row.uuid)

    def run(self) -> bool:
        """Take in what the server sent, then tell the listener."""
        changed = super().run()
        if self._listener is not None:
            self._tell_news(self._listener)
        return changed

    def listen(self, listener: Listener) -> None:
        """Tell *listener* all that is there, and from now on every change; under the lock."""
        self._listener = listener
        self._tell_news(listener)

    def _tell_news(self, listener: Listener) -> None:
        connected = self._session.is_connected() and self.state == self.IDL_S_MONITORING
        news = (
            self._dirty
            or self._gone
            or self._structure
            or self._elsewhere
            or connected != self._connected
        )
        if news and (connected or not self._session.is_connected()):
            listener(self._news(connected=connected))

    def _news(self, *, connected: bool) -> Change:
        rows = self.tables["Interface"].rows
        everything = (connected and not self._connected) or len(rows) != len(self._known)
        if self._elsewhere or everything:
            foreign = ovsdb_rows.interfaces_elsewhere(self.tables, self._bridge)
            everything = everything or foreign != self._foreign
            self._foreign = foreign
        if everything:
            self._dirty = {row.uuid: row for row in rows.values()}
            self._known = set(self._dirty)
        interfaces = tuple(
            ovsdb_rows.interface_row(row, foreign=row.uuid in self._foreign)
            for row in self._dirty.values()
        )
        change = Change(
            connected,
            interfaces,
            tuple(self._gone),
            everything=everything,
            structure=self._structure or everything,
        )
        self._connected = connected
        self._dirty, self._gone = {}, set()
        self._structure = self._elsewhere = False
        return change


class _Apply(command.BaseCommand):
    """One wish within a transaction."""

    def __init__(self, api: Any, wish: Wish) -> None:
        super().__init__(api)
        self.wish = wish

    def run_idl(self, txn: Any) -> None:
        """Write the columns that differ; runs in the replica's thread."""
        ovsdb_rows.apply(txn, self.api.idl.tables, self.wish)


@dataclass(frozen=True)
class _Api:
    """The part of ovsdbapp's API object that its transactions use."""

    idl: Any


class Ovsdb:
    """A connection to one ovsdb-server that comes back by itself.

    Args:
        remote: such as ``unix:/var/run/openvswitch/db.sock``.
        bridge: name of the integration bridge.
        listener: told of every change, in the replica's thread.
    """

    def __init__(self, remote: str, bridge: str, listener: Listener) -> None:
        self._remote = remote
        self._bridge = bridge
        self._listener = listener
        self._stopping = threading.Event()
        self._connection: connection.Connection | None = None
        self._starter = threading.Thread(target=self._start, name="ovsdb-start", daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once. Changes come to the listener."""
        self._starter.start()

    def stop(self) -> None:
        """End the connection; what was not sent is lost."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.stop(timeout=1)

    def wait_ready(self, timeout: float) -> bool:
        """Wait until transactions can be made; False when that takes too long."""
        self._starter.join(timeout)
        return self._connection is not None

    def _start(self) -> None:
        while not self._stopping.is_set():
            try:
                opened = self._open()
            except Exception as error:  # ovsdbapp raises bare Exceptions here
                log.debug("OVSDB at %s: %s", self._remote, error)
                self._stopping.wait(_RETRY_S)
            else:
                # Who is told of something asks us for the rest: the connection is there first.
                self._connection = opened
                with opened.lock:
                    opened.idl.listen(self._listener)
                return

    def _open(self) -> connection.Connection:
        helper = idlutils.get_schema_helper(self._remote, DATABASE)
        for table, columns in _COLUMNS.items():
            helper.register_columns(table, list(columns))
        replica = _Replica(self._remote, helper, bridge=self._bridge)
        opened = connection.Connection(replica, _TIMEOUT_S)
        opened.start()
        return opened

    def apply(self, wishes: Sequence[Wish]) -> None:
        """Carry out wishes in one transaction; blocks for the server's answer.

        Raises:
            OvsdbError: not connected, refused, or no answer within five seconds.
        """
        if self._connection is None or not self._connection.idl._session.is_connected():
            raise OvsdbError(f"OVSDB at {self._remote} does not answer")
        api = _Api(self._connection.idl)
        txn = transaction.Transaction(
            api, self._connection, _TIMEOUT_S, check_error=True, log_errors=False
        )
        for wish in wishes:
            txn.add(_Apply(api, wish))
        try:
            txn.commit()
        except Exception as error:  # whatever the replica's thread ran into
            raise OvsdbError(str(error) or type(error).__name__) from error

    def bridges(self) -> dict[str, BridgeRow]:
        """Return every bridge by name; empty while not connected."""
        if self._connection is None:
            return {}
        with self._connection.lock:
            rows: Iterable[Any] = self._connection.idl.tables["Bridge"].rows.values()
            return {row.name: ovsdb_rows.bridge_row(row) for row in rows}

    def interfaces(self) -> dict[str, dict[str, str]]:
        """Return name → external_ids of every interface; empty while not connected."""
        if self._connection is None:
            return {}
        with self._connection.lock:
            rows: Iterable[Any] = self._connection.idl.tables["Interface"].rows.values()
            return {row.name: dict(row.external_ids) for row in rows}

    def owned_ports(self, bridge: str, owner: str) -> dict[str, str]:
        """Return name → iface-id of the ports of *bridge* that carry our mark."""
        if self._connection is None:
            return {}
        with self._connection.lock:
            return ovsdb_rows.owned_ports(self._connection.idl.tables, bridge, owner)
