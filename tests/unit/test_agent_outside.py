"""Ways to external networks, ports for BFD, and the setting that says what leads where."""

from pathlib import Path

import pytest

from agent import settings as agent_settings
from agent.decide import marks, outside, watch
from agent.decide.bridge import BridgeSettings
from agent.decide.outside import Surroundings
from agent.decide.rows import (
    BridgeRow,
    BridgeWish,
    InterfaceRow,
    PlugWish,
    PortWish,
    ReleaseWish,
    UnplugWish,
)
from agent.decide.underlay import Device
from agent.settings import SettingsError
from agent.wire.state import Watched
from tests.support.outside import HOST, NETWORK, network

OTHER = "ext-00000000000000002"
INSIDE, OUTSIDE = marks.patch_inside(NETWORK), marks.patch_outside(NETWORK)


def row(name: str, *ports: str, datapath_type: str = "netdev", **ids: str) -> BridgeRow:
    return BridgeRow(name, datapath_type, 1, dict(ids), ports)


def here(*bridges: BridgeRow, **more: object) -> Surroundings:
    values: dict[str, object] = {
        "owner": HOST,
        "bridge": "br-int",
        "datapath_type": "netdev",
        "providers": {"public": "br-ex"},
        "bridges": {each.name: each for each in (row("br-int"), *bridges)},
        "devices": {},
    }
    return Surroundings(**{**values, **more})  # type: ignore[arg-type]


def test_a_pair_of_patch_ports_leads_to_the_providers_bridge() -> None:
    plan = outside.plan(
        [network(vlan=7), network(provider="lab", network_id=OTHER)], here(row("br-ex"))
    )
    assert plan.problems == {}
    assert plan.reached == {NETWORK: "br-ex"}
    ids = {marks.NETWORK_KEY: NETWORK}
    assert plan.wishes == (
        PlugWish("br-int", PortWish(INSIDE, HOST, "patch", {"peer": OUTSIDE}, ids)),
        PlugWish("br-ex", PortWish(OUTSIDE, HOST, "patch", {"peer": INSIDE}, ids, tag=7)),
    )
    assert max(len(INSIDE), len(OUTSIDE)) <= 15


def test_a_network_without_vlan_is_what_has_no_tag() -> None:
    plan = outside.plan([network()], here(row("br-ex")))
    tags = [wish.port.tag for wish in plan.wishes if isinstance(wish, PlugWish)]
    assert tags == [None, 0]


def test_what_is_wanted_no_more_goes_from_wherever_it_is() -> None:
    patches = {INSIDE: NETWORK, OUTSIDE: NETWORK}
    bridges = row("br-old", OUTSIDE, "eth7"), row("br-ex"), row("br-int", INSIDE, "tap0")
    moved = outside.plan([network()], here(*bridges, patches=patches))
    assert moved.removals == (UnplugWish("br-old", OUTSIDE, HOST),)
    gone = outside.plan([], here(*bridges, patches=patches))
    assert set(gone.removals) == {
        UnplugWish("br-old", OUTSIDE, HOST),
        UnplugWish("br-int", INSIDE, HOST),
    }
    assert gone.wishes == ()


def _device(name: str, *addresses: tuple[str, int]) -> Device:
    return Device(name, 7, "02:00:00:00:00:07", 1500, up=True, addresses=addresses)


def test_a_device_gets_a_bridge_of_its_own_which_goes_with_the_setting() -> None:
    own = marks.provider_bridge("eth7")
    given = here(providers={"public": "eth7"}, devices={"eth7": _device("eth7")})
    plan = outside.plan([network()], given)
    bridge = plan.wishes[0]
    assert isinstance(bridge, BridgeWish)
    assert (bridge.name, bridge.fail_mode, bridge.datapath_type) == (own, "standalone", "netdev")
    assert bridge.ports == (
        PortWish("eth7", HOST),
        PortWish(own, HOST, "internal", tag=4095),
    )
    assert bridge.flood_vlans == (network().vlan or 0,)
    assert plan.devices == ("eth7",)
    assert plan.reached == {NETWORK: own}
    ids = {marks.OWNER_KEY: HOST, marks.PROVIDER_KEY: "eth7"}
    made = BridgeRow(own, "netdev", 1, ids, (own, "eth7"))
    left = outside.plan([network()], here(made, row("br-ex")))
    assert left.removals == (ReleaseWish(own, HOST),)
    assert left.released == ("eth7",)
    kept = outside.plan(
        [network()], here(made, providers={"public": "eth7"}, devices=given.devices)
    )
    assert kept.removals == ()
    foreign = BridgeRow(own, "netdev", 1, {**ids, marks.OWNER_KEY: "somebody"}, ())
    assert outside.plan([], here(foreign, row("br-ex"))).removals == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (here(), "provider public: there is neither a bridge nor a device br-ex"),
        (here(providers={"public": "br-int"}), "is the integration bridge"),
        (here(row("br-ex", datapath_type="")), "bridge br-ex has datapath_type system"),
        (
            here(providers={"a": "eth7"}, devices={"eth7": _device("eth7", ("192.0.2.7", 24))}),
            "device eth7 has the address 192.0.2.7",
        ),
        (
            here(
                row("br-x", "eth7"),
                providers={"a": "eth7"},
                devices={"eth7": _device("eth7")},
            ),
            "device eth7 is in bridge br-x",
        ),
        (
            here(
                providers={"a": "eth7"},
                devices={"eth7": _device("eth7")},
                underlay_device="eth7",
            ),
            "device eth7 carries the tunnels",
        ),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_made(given: Surroundings, text: str) -> None:
    plan = outside.plan([network()], given)
    assert [each for each in plan.problems.values() if text in each]
    assert (plan.wishes, plan.reached, plan.devices) == ((), {}, ())


def _patch(ofport: int | None, *, foreign: bool = False) -> InterfaceRow:
    ids = {marks.OWNER_KEY: HOST, marks.NETWORK_KEY: NETWORK}
    return InterfaceRow(f"u{foreign}", INSIDE, "patch", ofport, external_ids=ids, foreign=foreign)


def test_networks_are_reported_with_br_ints_port_once_it_has_a_number() -> None:
    reached = {NETWORK: "br-ex"}
    found = outside.facts([_patch(5), _patch(6, foreign=True)], reached)
    assert [(each.network_id, each.ofport, each.bridge) for each in found] == [
        (NETWORK, 5, "br-ex")
    ]
    assert outside.facts([_patch(None)], reached) == ()
    assert outside.facts([_patch(5)], {}) == ()


def _ways(*lost: str, types: str = "") -> list[InterfaceRow]:
    """Two devices and a port of somebody's on a bridge."""
    return [
        InterfaceRow("u1", "eth1", types, foreign=True, lost="eth1" in lost),
        InterfaceRow("u2", "eth2", types, foreign=True, lost="eth2" in lost),
        InterfaceRow("u3", "theirs", "internal", foreign=True),
        InterfaceRow("u4", "tap0", lost=True),
    ]


def test_a_bridge_is_cut_off_when_none_of_its_devices_has_a_link() -> None:
    bond = BridgeRow("br-ex", "netdev", 1, {}, ("bond", "theirs"), ("eth1", "eth2", "theirs"))
    assert outside.cut_off([bond], _ways("eth2")) == {}
    said = {"br-ex": "bridge br-ex has no way out: no link on eth1, eth2"}
    assert outside.cut_off([bond], _ways("eth1", "eth2")) == said
    assert outside.cut_off([bond], _ways("eth1", "eth2", types="patch")) == {}
    assert outside.cut_off([BridgeRow("br-none", "netdev", 1, {})], _ways("eth1")) == {}


def test_a_link_is_lost_at_once_and_back_when_it_has_held() -> None:
    links, cut = outside.Links(1.0), {"br-ex": "no link"}
    assert (links.look(["br-ex"], cut, 0.0), links.cut) == (None, cut)
    assert (links.look(["br-ex"], {}, 0.5), links.cut) == (None, {})  # it has never had one
    assert (links.look(["br-ex"], cut, 1.0), links.cut) == (None, cut)
    assert (links.look(["br-ex"], {}, 2.0), links.cut) == (3.0, cut)
    assert (links.look(["br-ex"], cut, 2.5), links.cut) == (None, cut)
    assert (links.look(["br-ex"], {}, 4.0), links.cut) == (5.0, cut)
    assert (links.look(["br-ex"], {}, 4.9), links.cut) == (5.0, cut)
    assert (links.look(["br-ex"], {}, 5.0), links.cut) == (None, {})
    assert (links.look([], cut, 6.0), links.cut) == (None, {})


# --- watched hosts --------------------------------------------------------------------------------

BR_INT = BridgeSettings("br-int", "netdev", "192.0.2.1", 4789)
WATCHED = [Watched(host_id=f"host-{at:017x}", vtep_address=f"192.0.2.{at}") for at in (1, 2, 3)]


def test_each_watched_host_but_the_own_has_a_port_with_bfd() -> None:
    held = frozenset({WATCHED[2].host_id})
    found = watch.wishes(WATCHED, held, BR_INT, HOST)
    assert [wish.port.external_ids[marks.WATCH_KEY] for wish in found] == [
        WATCHED[1].host_id,
        WATCHED[2].host_id,
    ]
    port = found[0].port
    assert (port.options["remote_ip"], port.options["local_ip"]) == ("192.0.2.2", "192.0.2.1")
    assert int(port.options["key"]) == 0xFFFFFF
    assert port.bfd == {"enable": "true", "min_rx": "100", "min_tx": "100", "mult": "5"}
    assert found[1].port.bfd == port.bfd | {"cpath_down": "true"}


def _watch(host_id: str, ofport: int | None, *, alive: bool) -> InterfaceRow:
    ids = {marks.OWNER_KEY: HOST, marks.WATCH_KEY: host_id}
    name = marks.watch_port(host_id)
    return InterfaceRow(name, name, "vxlan", ofport, external_ids=ids, alive=alive)


def test_who_lives_is_reported_and_ports_of_others_go() -> None:
    rows = [_watch(each.host_id, at, alive=at == 2) for at, each in enumerate(WATCHED, 1)]
    assert [(each.ofport, each.up) for each in watch.facts(rows)] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    gone = watch.stale([*rows[1:], _patch(5)], WATCHED[:2], "br-int", HOST)
    assert gone == [UnplugWish("br-int", rows[2].name, HOST)]


# --- the setting ----------------------------------------------------------------------------------


def test_providers_are_given_as_text_or_as_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"public": "br-ex", "lab": "eth2"}
    assert agent_settings.load({}).providers == {}
    assert agent_settings.load({"providers": "public=br-ex, lab=eth2"}).providers == wanted
    monkeypatch.setenv("VPC_AGENT_PROVIDERS", "public=br-ex,lab=eth2")
    assert agent_settings.load({}).providers == wanted
    monkeypatch.delenv("VPC_AGENT_PROVIDERS")
    config = tmp_path / "agent.toml"
    config.write_text('providers = {public = "br-ex", lab = "eth2"}\n')
    assert agent_settings.load({}, str(config)).providers == wanted


@pytest.mark.parametrize(
    "text",
    [
        "public",
        "public=",
        "=br-ex",
        "a=br-ex,a=br-x",
        "a b=br-ex",
        "a=a-name-that-is-too-long",
        "a=b,c=b",
    ],
)
def test_providers_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"providers: .*expected"):
        agent_settings.load({"providers": text})


def test_who_is_told_not_to_rely_on_this_host_is_told_so_until_bfd_is_up() -> None:
    def row(host: str, *, refuses: bool, met: bool) -> InterfaceRow:
        return InterfaceRow(
            "u", host, external_ids={marks.WATCH_KEY: host}, refuses=refuses, met=met
        )

    rows = (
        row("fresh", refuses=True, met=False),
        row("held", refuses=True, met=True),
        row("gone", refuses=False, met=False),
        InterfaceRow("u", "other", refuses=True),
    )
    assert watch.not_met(rows) == {"fresh"}
