"""The ledger: the append-only record of findings, edits and versions that every change goes through."""

from __future__ import annotations

from dross.ledger.edits import Edit
from dross.ledger.export import Exported
from dross.ledger.ledger import Ledger
from dross.ledger.plan import Plan
from dross.ledger.policy import CAREFUL, Policy
from dross.ledger.runs import Run
from dross.ledger.versions import Version
from dross.ledger.workspace import workspace_for

__all__ = ["CAREFUL", "Edit", "Exported", "Ledger", "Plan", "Policy", "Run", "Version", "workspace_for"]
