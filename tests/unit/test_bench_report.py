import json
import xml.etree.ElementTree as ElementTree

import pytest

from bench import addressing, plots, report
from bench.stats import Sample, summarise
from bench.targets import judge

ABOUT = {
    "started": "2026-01-31T12:00:00Z",
    "seconds": 120,
    "machine": {"cores": "2"},
    "ovn": "ovn-controller 23.03.1",
    "load": "0.1 0.1 0.1",
    "failures": [],
}


def samples():
    found = []
    for size, ovn, ours in ((100, 20.0, 10.0), (20_000, 900.0, 13.0)):
        for value in (0.9, 1.0, 1.1):
            found.append(Sample("attach_ms", "routed", size, "ovn", ovn * value, "ms"))
            found.append(Sample("attach_ms", "routed", size, "ours", ours * value, "ms"))
    return found


def verdicts(found):
    return {verdict.goal: verdict.met for verdict in judge(summarise(found))}


def test_latency_goals_are_judged_by_medians():
    found = verdicts(samples())
    assert found["attach_ms, routed: median at most OVN's at 100 ports"] is True
    assert found["attach_ms, routed: at 20,000 ports at most 1.2 times its own at 100"] is False


def test_a_network_that_was_not_measured_is_not_judged_by_a_smaller_one():
    found = [sample for sample in samples() if sample.size == 100]
    found += [Sample("attach_ms", "routed", 5_000, "ours", 11.0, "ms")]
    goal = "attach_ms, routed: at 20,000 ports at most 1.2 times its own at 100"
    (verdict,) = (one for one in judge(summarise(found)) if one.goal == goal)
    assert verdict.met is None
    assert verdict.measured == "not measured; at 5,000 ports 11 against 12 ms"


@pytest.mark.parametrize(
    ("what", "goal", "bound"),
    [
        ("lost probes", "no probe lost, ever", 0.0),
        ("until all flows are right", "all flows right within 1 s, always", 1000.0),
        ("flows missing or alien afterwards", "the flows are what they were, always", 0.0),
    ],
)
def test_restarts_are_judged_by_the_worst_of_them(what, goal, bound):
    def restarts(*values):
        lost = [Sample("restart_gap_ms", "agent: lost probes", 1_000, "ours", 0.0, "")]
        found = [Sample("restart_gap_ms", f"agent: {what}", 1_000, "ours", v, "") for v in values]
        return verdicts(lost + found)[f"agent restarted at 1,000 ports: {goal}"]

    assert restarts(bound, bound, bound) is True
    assert restarts(bound, bound, bound + 1) is False


def test_dataplane_goals_know_which_way_is_better():
    def row(variant, static, ovn, ours):
        values = (("static", static), ("ovn", ovn), ("ours", ours))
        return [Sample("dataplane", variant, 100, name, value, "") for name, value in values]

    found = verdicts(
        row("TCP throughput, routed, across hosts", 1.0, 0.8, 0.95)
        + row("ICMP round trip, same subnet, across hosts", 100.0, 120.0, 110.0)
    )
    assert found["dataplane, TCP throughput, routed, across hosts: 0.93 of raw VXLAN"] is True
    assert found["dataplane, TCP throughput, routed, across hosts: better than OVN's"] is True
    rtt = "dataplane, ICMP round trip, same subnet, across hosts"
    assert found[f"{rtt}: 0.97 of raw VXLAN"] is False
    assert found[f"{rtt}: better than OVN's"] is True


def test_what_was_not_measured_is_said_so():
    only_ovn = [sample for sample in samples() if sample.system == "ovn"]
    goal = "attach_ms, routed: median at most OVN's at 100 ports"
    assert verdicts(only_ovn)[goal] is None


def test_results_file_round_trips(tmp_path):
    path = tmp_path / "results.json"
    report.write(path, samples=samples(), about={"machine": {}}, stalls=[], failures=["one"])
    document, found = report.read(path)
    assert list(found) == samples()
    assert document["failures"] == ["one"]
    assert json.loads(path.read_text())["summaries"]


def test_markdown_has_a_line_per_size_and_the_ratio():
    text = report.markdown(ABOUT, samples())
    line = next(line for line in text.splitlines() if line.startswith("| 20,000 | routed"))
    assert "| 0.01 |" in line


def test_plot_is_well_formed_svg(tmp_path):
    (path,) = plots.write_all(summarise(samples()), tmp_path)
    root = ElementTree.fromstring(path.read_text())  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    assert len([item for item in root.iter() if item.tag.endswith("circle")]) == 4


def test_one_size_makes_no_plot(tmp_path):
    found = [sample for sample in samples() if sample.size == 100]
    assert plots.write_all(summarise(found), tmp_path) == []


def test_mass_ports_have_addresses_of_their_own():
    ports = [addressing.mass_port(number) for number in range(20_000)]
    assert len({port.address for port in ports}) == len(ports)
    assert len({port.mac for port in ports}) == len(ports)
    assert {port.subnet for port in ports} == set(range(addressing.SUBNETS))


def test_document_replaces_only_what_stands_between_its_marks(tmp_path):
    path = tmp_path / "performance.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.document(path, "new\n")
    assert path.read_text() == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"


def test_document_without_marks_is_refused(tmp_path):
    path = tmp_path / "performance.md"
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match="marks"):
        report.document(path, "new")
