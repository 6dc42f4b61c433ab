from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.results import Findings
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.detect.text_form import TextForm, is_message, share_of_template, unusual
from dross.testing import check_method
from dross.testing.planted import sentence

SOUND = [f"This is the sentence number {i} and it is as good as the others that are here." for i in range(60)]
SOUND = [text.replace("This", ("This", "That", "Here", "Now")[i % 4]) for i, text in enumerate(SOUND)]


def reasons(odd: str | None, among: list[str] = SOUND) -> str | None:
    data = Dataset(pa.table({"text": [*among, odd]}), {Role.TEXT: ["text"]})
    found = TextForm().run(data, Signals(data))
    assert isinstance(found, Findings)
    flagged = found.rows[found.scores >= 0.5]
    assert set(flagged.tolist()) <= {len(among)}, "a sound text is flagged"
    return str(found.evidence["reason"][found.rows == len(among)][0]) if len(flagged) else None


def test_contract() -> None:
    check_method(TextForm)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (None, "is empty"),
        ("  \u200f\t", "is empty"),
        ("What is read here is \ufffd\ufffd\ufffd broken.", "is garbled"),
        ("The cafÃ© is in DÃ¼sseldorf.", "is garbled"),
        ("Das ist nicht die Sprache von den anderen und das wird auch so sein.", "is in another language"),
        ("это не то, что было у меня, но так и есть", "is in another language"),
        ("no no no no no no no no no no no no no no no no no no no no.", "repeats itself"),
        ("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaah.", "repeats itself"),
        ("404 Not Found", "is an error message or a placeholder"),
        ("As an AI language model, I do not have opinions.", "is an error message or a placeholder"),
        ("<div><p><b>x</b></p></div><br/><br/>", "holds markup"),
        ("12 + 30 = 42 :: 17 % 4 / 2 = ?", "has no words"),
        ("I would have told you all of it if only I had been given the time to …", "is cut off"),
        ("This is a sentence like any other one of them, and nothing is wrong with it.", None),
        ("We sell 404 shoes in this shop, and you are free to look at all of them.", None),
    ],
)
def test_what_is_wrong_with_a_text(text: str | None, reason: str | None) -> None:
    assert reasons(text) == reason


def test_what_is_common_is_no_fault() -> None:
    assert reasons("42", among=[str(i) for i in range(100)]) is None
    assert unusual(np.array([0.9, 0.9, 0.1])).tolist() == [0, 0, 0]


def test_messages_and_templates() -> None:
    assert is_message(pa.array(["N/A", None, "[object Object]", "fine"])).tolist() == [1, 0, 1, 0]
    starts = pa.array(["Dear customer 1, your parcel", "Dear customer 22, your order", "short", None])
    assert share_of_template(starts, 16).tolist() == [2, 2, 1, 1]


def test_templates_are_flagged() -> None:
    rng = np.random.default_rng(0)
    mixed = [sentence(rng, 14) + "." for _ in range(300)]
    spam = [f"Congratulations, you have won a prize in our lottery of {i} euros" for i in range(12)]
    data = Dataset(pa.table({"text": mixed + spam}), {Role.TEXT: ["text"]})
    found = TextForm().run(data, Signals(data))
    assert isinstance(found, Findings)
    assert found.rows[found.scores >= 0.5].tolist() == list(range(300, 312))
