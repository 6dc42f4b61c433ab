"""Every method found keeps the contract, has a claim, and is discovered without a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dross.claims import Budget, Claim, check, claims
from dross.core.registry import method_files, methods
from dross.testing.check_method import checks

CHECKS = [(name, what, run) for name, m in methods().items() for what, run in checks(m)]


@pytest.mark.parametrize("run", [c[2] for c in CHECKS], ids=[f"{c[0]}: {c[1]}" for c in CHECKS])
def test_method_keeps_the_contract(run: Callable[[], Any]) -> None:
    run()


@pytest.mark.parametrize("name", method_files())
def test_method_has_a_claim(name: str) -> None:
    assert name in {claim.method for claim in claims()}, "a method without a claim is unproven"


@pytest.mark.parametrize("name", methods())
def test_method_names_and_aliases_are_unique(name: str) -> None:
    others = {m.alias for n, m in methods().items() if n != name} | (set(methods()) - {name})
    assert methods()[name].alias not in others - {None}


@pytest.mark.parametrize("claim", [c for c in claims() if c.fast], ids=lambda c: f"{c.method}: {c.name}")
def test_fast_claim_runs_and_gives_evidence(claim: Claim) -> None:
    (outcome,) = check([claim], Budget(seeds=(0, 1)))
    assert outcome.evidence is not None, outcome.error
    assert outcome.evidence.measured
    assert isinstance(outcome.evidence.holds, bool)
