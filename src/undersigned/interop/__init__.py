"""The harness between organisations: plays the other side of a hire against any implementation, and reports."""

from undersigned.interop.run import Result, chosen, play_all
from undersigned.interop.scenario import GROUPS, Reach, Scenario, written_scenarios
from undersigned.interop.stage import Limits, Stage, Subject
from undersigned.interop.tables import table_scenarios

__all__ = [
    "GROUPS",
    "Limits",
    "Reach",
    "Result",
    "Scenario",
    "Stage",
    "Subject",
    "chosen",
    "play_all",
    "table_scenarios",
    "written_scenarios",
]
