"""Zones on disk: whole and changes, damage, and that following is the same as reading anew."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decide.names.zone import Zone
from agent.names.zone_file import ZoneFile
from agent.names.zone_record import ZoneRecord
from agent.wire.zones import Sealed, unsealed
from agent.wire.zones import ZoneDocument as Received
from vpcctl.wire.zones import ZoneDocument, sealed
from vpcctl.wire.zones import ZoneRecord as Record

VPC = "vpc-00000000000000001"
LABELS = ["web", "db", ""]
ADDRESSES = [f"10.0.0.{n}" for n in range(4, 10)] + ["fd00::4", "fd00::5"]


def document(revision: int, since: int, ports: dict, records: tuple | None = None) -> ZoneDocument:
    return sealed(
        ZoneDocument(
            vpc_id=VPC,
            revision=revision,
            since=since,
            enabled=True,
            domain="one.test",
            cidrs=("10.0.0.0/16",),
            ports=ports,
            records=() if records is None and not since else records,
        )
    )


def sent(*said: object) -> Sealed[Received]:
    """Return a document as the agent has it from the controller."""
    return unsealed(Received, document(*said).model_dump_json().encode())


def answers(zone: Zone | None) -> object:
    """Return everything that a zone says of the names that the tests use."""
    assert zone is not None
    names = [f"{label or 'none'}.one.test" for label in (*LABELS, "alias", "gone")]
    names += ["ip-10-0-0-4.one.test", "4.0.0.10.in-addr.arpa", "one.test", "test"]
    found = [(zone.find(name, kind), zone.has(name)) for name in names for kind in ("A", "AAAA")]
    return [
        (exists, [(one.name, one.kind, sorted(one.values)) for one in found_.sets], onward)
        for found_, exists in found
        for onward in [found_.onward]
    ]


PORTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.sampled_from(LABELS), st.integers(0, 1)),
    max_size=6,
)


def spread(ports: dict) -> dict:
    """Give each port an address of its own, and perhaps a second one."""
    free = iter(ADDRESSES)
    return {
        id: (label, (next(free), *((f"fd00::{n:x}",) if more else ())))
        for n, (id, (label, more)) in enumerate(ports.items(), 16)
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(PORTS, min_size=2, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_changes_add_up_to_the_whole(tmp_path_factory, states: list, records: list) -> None:
    path = tmp_path_factory.mktemp("zones") / f"{VPC}.zone"
    record, file = ZoneRecord(path), ZoneFile(path)
    before: dict = {}
    for revision, ports in enumerate(map(spread, states), 1):
        made = (
            (Record(name="alias.one.test", type="A", ttl=5, values=("10.0.0.9",)),)
            if records[revision - 1]
            else ()
        )
        since = record.since
        said = dict.fromkeys(before) | ports if since else ports
        record.keep(sent(revision, since, said, made))
        asyncio.run(file.follow())
        assert file.revision == record.revision == revision
        whole = Zone(document(revision, 0, ports, made).model_dump(mode="json"))
        assert answers(file.zone) == answers(whole)
        before = ports
    again = ZoneRecord(path)
    again.load()
    assert again.revision == len(states)


def test_a_damaged_end_is_cut_off_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / f"{VPC}.zone"
    record = ZoneRecord(path)
    record.keep(sent(1, 0, {"a": ("web", ("10.0.0.4",))}))
    record.keep(sent(2, 1, {"b": ("db", ("10.0.0.5",))}))
    good = path.read_bytes()
    for torn in (b'{"vpc_id"', good.splitlines(keepends=True)[1], b"\xff\xfe\n"):
        path.write_bytes(good + torn)
        file, again = ZoneFile(path), ZoneRecord(path)
        asyncio.run(file.follow())
        again.load()
        assert (again.revision, path.read_bytes()) == (2, good)
        assert file.zone is not None
        assert file.zone.find("db.one.test", "A").exists


def test_digits_that_were_changed_count_as_damage(tmp_path: Path) -> None:
    path = tmp_path / f"{VPC}.zone"
    ZoneRecord(path).keep(sent(1, 0, {"a": ("web", ("10.0.0.4",))}))
    path.write_text(path.read_text().replace("10.0.0.4", "10.0.0.5"))
    again = ZoneRecord(path)
    again.load()
    assert (again.revision, again.since) == (0, 0)


def test_the_whole_is_asked_for_when_changes_have_become_as_long(tmp_path: Path) -> None:
    record = ZoneRecord(tmp_path / f"{VPC}.zone")
    record.keep(sent(1, 0, {}))
    revision = 1
    while record.since:
        revision += 1
        record.keep(sent(revision, revision - 1, {"a": ("web", ("10.0.0.4",))}))
    assert revision == 101
    record.keep(sent(revision + 1, 0, {"a": ("web", ("10.0.0.4",))}))
    assert record.since == revision + 1
    assert len((tmp_path / f"{VPC}.zone").read_text().splitlines()) == 1


def test_a_tenant_s_long_records_fill_no_disk_with_their_changes(tmp_path: Path) -> None:
    path = tmp_path / f"{VPC}.zone"
    record = ZoneRecord(path)
    ports = {f"p{n}": ("web", (f"10.0.{n >> 8}.{n & 255}",)) for n in range(2_000)}
    record.keep(sent(1, 0, ports))
    sizes = []
    for revision in range(2, 40):
        text = (Record(name="a.one.test", type="TXT", ttl=5, values=("x" * 200_000,)),)
        since = record.since
        record.keep(sent(revision, since, {} if since else ports, text))
        sizes.append(path.stat().st_size)
        again = ZoneRecord(path)
        again.load()
        assert (again.revision, again.since) == (revision, record.since)
    assert max(sizes) < 1_500_000


def test_what_cannot_be_written_leaves_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "gone" / f"{VPC}.zone"
    record = ZoneRecord(path)
    record.keep(sent(1, 0, {"a": ("web", ("10.0.0.4",))}))
    path.rename(tmp_path / "kept")
    path.parent.rmdir()
    path.parent.touch()
    with pytest.raises(OSError, match="gone"):
        record.keep(sent(2, 1, {"a": None}))
    assert (record.revision, record.since) == (1, 0)  # answered as before; the whole comes next


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / f"{VPC}.zone"
    record, file = ZoneRecord(path), ZoneFile(path)
    record.keep(sent(1, 0, {"a": ("web", ("10.0.0.4",))}))
    asyncio.run(file.follow())
    record.keep(sent(9, 0, {}))
    record.keep(sent(10, 9, {"b": ("db", ("10.0.0.5",))}))
    asyncio.run(file.follow())
    assert file.zone is not None
    assert not file.zone.find("web.one.test", "A").exists
    assert file.zone.find("db.one.test", "A").exists
    path.write_text(json.dumps({"since": 7}) + "\n")
    asyncio.run(file.follow())
    assert file.revision == 10


def test_a_file_that_has_got_the_number_of_one_that_is_gone_is_read_anew(tmp_path: Path) -> None:
    """As when a VPC leaves a host and comes back while its zone is not looked at."""
    path = tmp_path / f"{VPC}.zone"
    names = {f"p{n}": ("web", (f"10.0.0.{n}",)) for n in range(4, 20)}
    for ports in ({"b": ("db", ("10.0.0.5",))}, names | {"b": ("db", ("10.0.0.5",))}):
        file = ZoneFile(path)
        path.write_text(document(1, 0, names).model_dump_json() + "\n")
        asyncio.run(file.follow(1))
        path.write_text(document(9, 0, ports).model_dump_json() + "\n")  # the same number
        asyncio.run(file.follow(9))
        assert answers(file.zone) == answers(Zone(document(9, 0, ports).model_dump(mode="json")))


def test_a_restored_and_shorter_file_of_the_same_number_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / f"{VPC}.zone"
    file = ZoneFile(path)
    path.write_text(document(9, 0, {"a": ("web", ("10.0.0.4",))}).model_dump_json() + "\n")
    asyncio.run(file.follow(9))
    path.write_text(document(2, 0, {}).model_dump_json() + "\n")
    asyncio.run(file.follow(2))
    assert file.revision == 2
    assert file.zone is not None
    assert not file.zone.find("web.one.test", "A").exists
