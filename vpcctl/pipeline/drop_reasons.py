"""Table Drop: one flow and so one counter for every reason."""

from vpcctl.flows import fields as f
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP
from vpcctl.pipeline.terms import BASE

STATIC: tuple[Flow, ...] = (
    *(Flow(DROP, 100, ((f.REASON, int(reason), None),), (), None, BASE) for reason in Reason),
    Flow(DROP, 0, (), (), None, BASE),
)
