"""Flow programs of the fixed network, as text that is reviewed like code."""

from pathlib import Path

import pytest

from tests.support.showcase import HOST_1, HOST_2, showcase
from vpcctl.compile import compile_host
from vpcctl.flows.contract import check
from vpcctl.flows.text import format_flow
from vpcctl.pipeline.document import render

GOLDENS = Path(__file__).parent / "goldens"
DOCUMENT = Path(__file__).parents[2] / "docs" / "pipeline.md"


def program(host_id: str) -> str:
    flows = [flow for flows in compile_host(showcase(), host_id) for flow in flows]
    for flow in flows:
        check(flow)
    flows.sort(key=lambda flow: (flow.table.number, -flow.priority, format_flow(flow)))
    return "".join(f"{format_flow(flow)}\n" for flow in flows)


@pytest.mark.parametrize(
    ("name", "host_id"), [("host_1", HOST_1.id), ("host_2", HOST_2.id)], ids=["host_1", "host_2"]
)
def test_program_is_the_golden_one(name: str, host_id: str, update_goldens: bool) -> None:
    golden = GOLDENS / f"{name}.flows"
    if update_goldens:
        golden.write_text(program(host_id))
    assert program(host_id) == golden.read_text()


def test_the_document_is_true(update_goldens: bool) -> None:
    text = DOCUMENT.read_text()
    if update_goldens:
        DOCUMENT.write_text(render(text))
    assert render(text) == DOCUMENT.read_text()
