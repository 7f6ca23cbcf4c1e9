"""Rows of the OVSDB replica: read into frozen values, written from wishes.

Takes the replica's tables and rows as they come (untyped); imports no OVS library. Writes only
columns that differ, so that a wish that is fulfilled already makes no transaction.
"""

from collections.abc import Mapping
from typing import Any

from agent.decide import marks
from agent.decide.rows import (
    BridgeRow,
    BridgeWish,
    IfaceIdWish,
    InterfaceRow,
    PlugWish,
    PortWish,
    ReleaseWish,
    SslWish,
    UnplugWish,
    Wish,
)

Tables = Mapping[str, Any]

INDEXED = ("Port", "Interface")
"""Tables with an index on ``name`` called :data:`INDEX`: there are many rows in them."""
INDEX = "by-name"


class Refused(Exception):
    """A wish cannot be carried out because of what others have made."""


def _first(value: Any) -> Any:
    """Return the element of an optional column, or None."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def interface_row(row: Any, *, foreign: bool) -> InterfaceRow:
    """Return the frozen form of an Interface row."""
    ofport, error, link = _first(row.ofport), _first(row.error), _first(row.link_state)
    admin = _first(row.admin_state)
    return InterfaceRow(
        uuid=str(row.uuid),
        name=row.name,
        type=row.type,
        ofport=ofport if ofport is not None and ofport > 0 else None,
        error=error,
        admin_up=admin == "up",
        oper_up=link == "up",
        mac_in_use=_first(row.mac_in_use),
        external_ids=dict(row.external_ids),
        foreign=foreign,
        alive=row.bfd_status.get("forwarding") == "true",
        met=row.bfd_status.get("state") == "up",
        refuses=row.bfd.get("cpath_down") == "true",
        lost=error is not None or "down" in (link, admin),
    )


def bridge_row(row: Any) -> BridgeRow:
    """Return the frozen form of a Bridge row."""
    dpid = _first(row.datapath_id)
    return BridgeRow(
        name=row.name,
        datapath_type=row.datapath_type,
        dpid=int(dpid, 16) if dpid else None,
        external_ids=dict(row.external_ids),
        ports=tuple(port.name for port in row.ports),
        interfaces=tuple(each.name for port in row.ports for each in port.interfaces),
    )


def interfaces_elsewhere(tables: Tables, bridge: str) -> frozenset[Any]:
    """Return the UUIDs of the interfaces of all bridges but *bridge*."""
    return frozenset(
        interface.uuid
        for row in tables["Bridge"].rows.values()
        if row.name != bridge
        for port in row.ports
        for interface in port.interfaces
    )


def is_structure(table: str, event: str, row: Any, updates: Any) -> bool:
    """Tell whether a change may have broken what a bridge should be.

    Ports that come are everyday changes and no such thing, as are those of attachments, and of
    everybody else, that go.
    """
    if table == "Port":
        ours = marks.OWNER_KEY in row.external_ids
        return event == "delete" and ours and not row.name.startswith(marks.PAIR_PREFIX)
    if table == "Bridge" and event == "update":
        return set(updates._data) != {"ports"}
    return True


def _named(tables: Tables, table: str, name: str) -> Any:
    rows = tables[table].rows
    if table in INDEXED:
        entry = rows.IndexEntry(name=name)
        return next(rows.indexes[INDEX].irange(entry, entry), None)
    return next((row for row in rows.values() if row.name == name), None)


def _port_on(tables: Tables, bridge: Any, name: str) -> Any:
    """Return a bridge's port; an index finds that there is none without looking at all."""
    if _named(tables, "Port", name) is None:
        return None
    return next((port for port in _have(bridge, "ports", []) if port.name == name), None)


def owned_ports(tables: Tables, bridge: str, owner: str) -> dict[str, str]:
    """Return name → iface-id of the ports of a bridge that carry our mark."""
    row = _named(tables, "Bridge", bridge)
    found: dict[str, str] = {}
    for port in row.ports if row is not None else ():
        if port.external_ids.get(marks.OWNER_KEY) == owner and port.interfaces:
            found[port.name] = port.interfaces[0].external_ids.get("iface-id", "")
    return found


def apply(txn: Any, tables: Tables, wish: Wish) -> None:
    """Write a wish into a transaction.

    Raises:
        Refused: it would take something that belongs to somebody else.
    """
    match wish:
        case BridgeWish():
            _bridge(txn, tables, wish)
        case PlugWish():
            bridge = _named(tables, "Bridge", wish.bridge)
            if bridge is None:
                raise Refused(f"there is no bridge {wish.bridge}")
            _plug(txn, tables, bridge, wish.port)
        case UnplugWish():
            _unplug(tables, wish)
        case IfaceIdWish():
            _iface_id(tables, wish)
        case ReleaseWish():
            _release(tables, wish)
        case SslWish():
            _ssl(txn, tables, wish)


def _have(row: Any, column: str, default: Any) -> Any:
    """Return a column's value; a row that this transaction makes has none until it is set."""
    return getattr(row, column, default)


def _set(row: Any, column: str, value: Any) -> None:
    if _have(row, column, None) != value:
        setattr(row, column, value)


def _merge(row: Any, column: str, values: Mapping[str, str]) -> None:
    """Set keys of a map column and leave the others alone."""
    have = _have(row, column, {})
    if any(have.get(key) != value for key, value in values.items()):
        setattr(row, column, {**have, **values})


def _strip(row: Any, column: str, keys: tuple[str, ...]) -> None:
    have = getattr(row, column)
    if any(key in have for key in keys):
        setattr(row, column, {key: value for key, value in have.items() if key not in keys})


def _check_owner(row: Any, owner: str, what: str) -> None:
    """Refuse a row that another host's agent marked as its own."""
    other = row.external_ids.get(marks.OWNER_KEY)
    if other not in (None, owner):
        raise Refused(f"{what} belongs to {other}, not to {owner}")


def _bridge(txn: Any, tables: Tables, wish: BridgeWish) -> None:
    row = _named(tables, "Bridge", wish.name)
    if row is None:
        row = _new_bridge(txn, tables, wish)
    _check_owner(row, wish.owner, f"bridge {wish.name}")
    _set(row, "datapath_type", wish.datapath_type)
    _set(row, "fail_mode", [wish.fail_mode])
    if sorted(_have(row, "protocols", [])) != sorted(wish.protocols):
        row.protocols = list(wish.protocols)
    if wish.flood_vlans and sorted(_have(row, "flood_vlans", [])) != sorted(wish.flood_vlans):
        row.flood_vlans = list(wish.flood_vlans)
    _merge(row, "other_config", wish.other_config)
    _merge(row, "external_ids", {**wish.external_ids, marks.OWNER_KEY: wish.owner})
    for port in wish.ports:
        _plug(txn, tables, row, port)
    if wish.controllers is not None:
        _controllers(txn, tables, row, wish)


def _new_bridge(txn: Any, tables: Tables, wish: BridgeWish) -> Any:
    row = txn.insert(tables["Bridge"])
    row.name = wish.name
    row.external_ids = {marks.OWNER_KEY: wish.owner, marks.CREATED_KEY: "true"}
    root = next(iter(tables["Open_vSwitch"].rows.values()))
    root.addvalue("bridges", row)
    own = PortWish(wish.name, wish.owner, type="internal")
    row.ports = [_new_port(txn, tables, own)]
    return row


def _new_port(txn: Any, tables: Tables, wish: PortWish) -> Any:
    interface = txn.insert(tables["Interface"])
    interface.name = wish.name
    interface.type = wish.type
    interface.options = dict(wish.options)
    interface.external_ids = {**wish.external_ids, marks.OWNER_KEY: wish.owner}
    if wish.ofport_request is not None:
        interface.ofport_request = wish.ofport_request
    if wish.bfd:
        interface.bfd = dict(wish.bfd)
    port = txn.insert(tables["Port"])
    port.name = wish.name
    port.interfaces = [interface]
    port.external_ids = {marks.OWNER_KEY: wish.owner}
    if wish.tag is not None:
        port.tag = [wish.tag]
    return port


def _plug(txn: Any, tables: Tables, bridge: Any, wish: PortWish) -> None:
    port = _port_on(tables, bridge, wish.name)
    if port is None:
        if _named(tables, "Port", wish.name) is not None:
            raise Refused(f"port {wish.name} is on another bridge")
        bridge.addvalue("ports", _new_port(txn, tables, wish))
        return
    if not port.external_ids.get(marks.OWNER_KEY) and bridge.name != wish.name:
        raise Refused(f"port {wish.name} on {bridge.name} is not ours")
    _check_owner(port, wish.owner, f"port {wish.name}")
    _set(port, "tag", [] if wish.tag is None else [wish.tag])
    interface = port.interfaces[0]
    _set(interface, "type", wish.type)
    _set(interface, "options", wish.options)
    _set(interface, "bfd", wish.bfd)
    _merge(interface, "external_ids", {**wish.external_ids, marks.OWNER_KEY: wish.owner})


def _unplug(tables: Tables, wish: UnplugWish) -> None:
    bridge = _named(tables, "Bridge", wish.bridge)
    if bridge is None:
        return
    port = _port_on(tables, bridge, wish.name)
    if port is not None and port.external_ids.get(marks.OWNER_KEY) == wish.owner:
        bridge.delvalue("ports", port)


def _iface_id(tables: Tables, wish: IfaceIdWish) -> None:
    """Name a foreign interface's port; an iface-id that somebody else set is not overwritten."""
    row = _named(tables, "Interface", wish.interface)
    if row is None:
        return
    have = row.external_ids.get("iface-id")
    ours = row.external_ids.get(marks.NAMED_KEY) == wish.named_by
    if wish.port_id is None:
        if ours:
            _strip(row, "external_ids", ("iface-id", "attached-mac", marks.NAMED_KEY))
        return
    if have is not None and have != wish.port_id and not ours:
        raise Refused(f"interface {wish.interface} has the iface-id {have} already")
    if have is None or ours:
        values = {"iface-id": wish.port_id, marks.NAMED_KEY: wish.named_by}
        if wish.mac is not None:
            values["attached-mac"] = wish.mac
        _merge(row, "external_ids", values)


def _controllers(txn: Any, tables: Tables, row: Any, wish: BridgeWish) -> None:
    """Keep Controller rows that are wanted (a new row is a new connection), change the rest."""
    wanted = {each.target: each for each in wish.controllers or ()}
    have = {each.target: each for each in _have(row, "controller", [])}
    for target, each in wanted.items():
        if target not in have:
            fresh = txn.insert(tables["Controller"])
            fresh.target = target
            have[target] = fresh
            fresh.external_ids = {marks.OWNER_KEY: wish.owner}
            fresh.connection_mode = ["out-of-band"]
            fresh.inactivity_probe = [each.inactivity_probe_ms]
            fresh.max_backoff = [each.max_backoff_ms]
            continue
        _set(have[target], "connection_mode", ["out-of-band"])
        _set(have[target], "inactivity_probe", [each.inactivity_probe_ms])
        _set(have[target], "max_backoff", [each.max_backoff_ms])
    if {each.target for each in _have(row, "controller", [])} != set(wanted):
        row.controller = [have[target] for target in wanted]


def _release(tables: Tables, wish: ReleaseWish) -> None:
    row = _named(tables, "Bridge", wish.bridge)
    if row is None or row.external_ids.get(marks.OWNER_KEY) != wish.owner:
        return
    ours = [port for port in row.ports if port.external_ids.get(marks.OWNER_KEY) == wish.owner]
    others = [port for port in row.ports if port not in ours and port.name != row.name]
    if row.external_ids.get(marks.CREATED_KEY) == "true" and not others:
        root = next(iter(tables["Open_vSwitch"].rows.values()))
        root.delvalue("bridges", row)
        return
    row.ports = [port for port in row.ports if port not in ours or port.name == row.name]
    row.controller = []
    _strip(row, "external_ids", (marks.OWNER_KEY, marks.CREATED_KEY))


def _ssl(txn: Any, tables: Tables, wish: SslWish) -> None:
    root = next(iter(tables["Open_vSwitch"].rows.values()))
    row = _first(root.ssl)
    if row is None:
        row = txn.insert(tables["SSL"])
        row.external_ids = {marks.OWNER_KEY: wish.owner}
        root.ssl = [row]
    elif row.external_ids.get(marks.OWNER_KEY) != wish.owner:
        raise Refused("Open vSwitch has TLS keys that are not ours")
    _set(row, "private_key", wish.private_key)
    _set(row, "certificate", wish.certificate)
    _set(row, "ca_cert", wish.ca_cert)
