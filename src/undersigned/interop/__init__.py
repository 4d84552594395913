"""The harness between organisations: plays the other side of a hire against any implementation, and reports."""

from undersigned.interop.expected import judged, read_expected
from undersigned.interop.failures import Failure, Silent
from undersigned.interop.faults import FAULTS, bearing, faulty_wire
from undersigned.interop.pairs import HIRES, Cell, matrix_report, play_pairs
from undersigned.interop.pairs_page import write_matrix
from undersigned.interop.programs import Entry, Instance, read_peers, started
from undersigned.interop.replay import replayed
from undersigned.interop.report import (
    Run,
    compatibility,
    digest_of_scenarios,
    extent,
    passes,
    summary,
    transcript,
    verdict,
    verify_report,
    write_reports,
)
from undersigned.interop.run import PROFILES, Result, chosen, play_all
from undersigned.interop.scenario import GROUPS, Reach, Scenario, written_scenarios
from undersigned.interop.stage import RunLimits, Stage, Strangers, Subject
from undersigned.interop.tables import table_scenarios

__all__ = [
    "FAULTS",
    "GROUPS",
    "HIRES",
    "PROFILES",
    "Cell",
    "Entry",
    "Failure",
    "Instance",
    "Reach",
    "Result",
    "Run",
    "RunLimits",
    "Scenario",
    "Silent",
    "Stage",
    "Strangers",
    "Subject",
    "bearing",
    "chosen",
    "compatibility",
    "digest_of_scenarios",
    "extent",
    "faulty_wire",
    "judged",
    "matrix_report",
    "passes",
    "play_all",
    "play_pairs",
    "read_expected",
    "read_peers",
    "replayed",
    "started",
    "summary",
    "table_scenarios",
    "transcript",
    "verdict",
    "verify_report",
    "write_matrix",
    "write_reports",
    "written_scenarios",
]
