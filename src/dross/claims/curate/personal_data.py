"""Personal data: planted addresses and numbers are masked, numbers of other kinds are left alone."""

from __future__ import annotations

import numpy as np

from dross.claims import Budget, Evidence, claim
from dross.claims._texts import drawn
from dross.claims.curate._corpus import judged, passed
from dross.curate.personal_data import PersonalData, luhn

OTHERS = (
    "on 2024-03-17 at 12:45",
    "ISBN 978-3-16-148410-0",
    "version 3.14.15926",
    "from 1,250,000 to 3,400,000",
    "PEP 8",
)


@claim(
    method="personal-data", says="addresses, cards, accounts and telephone numbers are masked, other numbers are not"
)
def what_is_planted_is_masked(budget: Budget) -> Evidence:
    """400 paragraphs: 150 with one of five kinds of personal data, 100 with dates, versions, amounts and the like."""

    def one(seed: int) -> dict[str, float]:
        rng = np.random.default_rng((seed, 10))
        texts = drawn(400, seed)
        plain = passed(PersonalData(), texts).text().to_pylist()
        planted = [_personal(i % 5, rng) for i in range(150)]
        texts = [f"{t} Contact {planted[i]} today." if i < 150 else t for i, t in enumerate(texts)]
        texts = [f"{t} It was {OTHERS[i % 5]} then." if 150 <= i < 250 else t for i, t in enumerate(texts)]
        left = passed(PersonalData(), texts).text().to_pylist()
        hit = np.array([planted[i] not in left[i] for i in range(150)])
        spared = np.array([OTHERS[i % 5] in left[i] for i in range(150, 250)])
        same = np.array([a == b for a, b in zip(left[250:], plain[250:], strict=True)])
        return {
            "planted masked, %": 100 * float(hit.mean()),
            "other numbers left, %": 100 * float(spared.mean()),
            "texts treated alike, %": 100 * float(same.mean()),
        }

    return judged(budget, one, {"planted masked, %": 95.0, "other numbers left, %": 95.0})


def _personal(kind: int, rng: np.random.Generator) -> str:
    digits = "".join(map(str, rng.integers(0, 10, 20)))
    if kind == 0:
        return f"{rng.choice(['ann', 'j.doe', 'max_m'])}{digits[:3]}@mail{digits[0]}.example.org"
    if kind == 1:
        return next(card for card in (f"4{digits[1:15]}{last}" for last in range(10)) if luhn(card))
    if kind == 2:
        return f"+49 {digits[:2]} {digits[2:10]}"
    if kind == 3:
        account = f"{digits[:18]}"
        check = 98 - int(account + "131400") % 97
        return f"DE{check:02d}{account}"
    return f"8.{rng.integers(1, 255)}.{rng.integers(1, 255)}.{rng.integers(1, 255)}"
