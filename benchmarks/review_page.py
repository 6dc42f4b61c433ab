"""Speed and memory of the review page with a million findings, over HTTP with the real server.

    python benchmarks/review_page.py [--findings 1000000] [--write docs/review_page.md]

Short texts with ten classes, each row with a finding that its label is wrong; the findings are written as an audit
would write them, without running one. The workspace is made in a process of its own, so that the server's memory is
its own. Re-scoring is measured in this process with a hundred thousand findings and an embedding of 32 dimensions.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from dross.calibrate.assessment import Assessment
from dross.core.dataset import Dataset
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.job.table import tabulate
from dross.ledger import Ledger

RESCORED = 100_000
CLASSES = 10


# ---- the workspace --------------------------------------------------------------------------------------------------


def dataset(n: int, dimensions: int = 0) -> Dataset:
    """Short texts with ten classes; with an embedding where dimensions are asked for."""
    rng = np.random.default_rng(0)
    words = np.array([f"{a}{b}" for a in "bdfgklmnprstvz" for b in ("ala", "eno", "iri", "oto", "usu")])
    picked = words[rng.integers(0, len(words), (n, 8))]
    texts = picked[:, 0]
    for column in range(1, 8):
        texts = np.char.add(np.char.add(texts, " "), picked[:, column])
    codes = rng.integers(0, CLASSES, n)
    columns = {
        "text": pa.array(texts.tolist(), pa.large_string()),
        "label": pa.array([f"class {c}" for c in codes.tolist()]),
        "split": pa.array(np.where(rng.random(n) < 0.1, "test", "train").tolist()),
    }
    roles = {Role.TEXT: ["text"], Role.LABEL: ["label"], Role.SPLIT: ["split"]}
    if dimensions:
        X = rng.normal(size=(CLASSES, dimensions))[codes] + rng.normal(size=(n, dimensions))
        flat = pa.array(X.astype(np.float32).reshape(-1))
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dimensions)
        roles[Role.EMBEDDING] = ["vector"]
    return Dataset(pa.table(columns), roles)


def findings(data: Dataset) -> pa.Table:
    """A finding on each row, one in twenty of them flagged, with the evidence of three methods."""
    rng = np.random.default_rng(1)
    n = len(data)
    truth = rng.random(n) < 0.05
    scores = [np.clip(0.6 * truth + 0.4 * rng.random(n), 0, 1).astype(np.float32) for _ in range(3)]
    combined = np.mean(scores, axis=0, dtype=np.float32)
    found = Findings(
        Issue.LABEL,
        np.arange(n),
        combined,
        suggestion=(data.codes + 1) % CLASSES,
        evidence={f"score_{name}": values for name, values in zip(("one", "two", "three"), scores, strict=True)},
    )
    one = Assessment(
        issue=Issue.LABEL,
        findings=found,
        methods=("one", "two", "three"),
        method=rng.integers(0, 3, n).astype(np.int8),
        flagged=combined > 0.6,
        expected_precision=np.clip(combined * 1.2 - 0.2, 0, 1).astype(np.float32),
    )
    return tabulate(data, one)


def build(folder: Path, n: int, dimensions: int = 0) -> None:
    """Record the audit that was not run."""
    data = dataset(n, dimensions)
    table = findings(data)
    flagged = int(np.count_nonzero(table.column("flagged").to_numpy()))
    run = {
        "time": "2026-01-01T00:00:00+00:00", "command": "dross audit", "source": None, "rows": n,
        "fingerprint": data.fingerprint(), "methods": {}, "signals": {},
        "issues": {"label": {"meaning": Issue.LABEL.meaning, "findings": n, "flagged": flagged}},
    }  # fmt: skip
    with Ledger.open(folder, create=True) as ledger:
        ledger.record(run, {"label": table}, data=data)
    if dimensions:
        from dross.signals.embedding import Embedding

        Signals(data, folder / "signals")[Embedding()]


# ---- the server -----------------------------------------------------------------------------------------------------


class Client:
    """A person with one connection to the server."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        self.cookie = ""
        self.cookie = self.send("GET", f"/?{parts.query}")[1].partition(";")[0]

    def send(self, method: str, path: str, content: object = None) -> tuple[bytes, str]:
        """The body of the answer, and its cookie; an error unless it went well."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Cookie": self.cookie, "Origin": self.origin, "Content-Type": "application/json"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        read = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {read[:300]!r}")
        return read, answer.getheader("set-cookie") or ""


def timed(what: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    what()
    return 1000 * (time.perf_counter() - started)


def spread(times: list[float]) -> str:
    return f"{statistics.median(times):.0f} | {np.quantile(times, 0.95):.0f}"


def memory(process: int, what: str) -> float:
    """Megabytes: ``VmHWM`` is the peak, ``RssAnon`` what is not a file on the disk."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def served(folder: Path, decisions: int) -> list[tuple[str, str]]:
    """All that is measured over HTTP: what, and milliseconds or megabytes."""
    command = [sys.executable, "-m", "dross", "review", "--workspace", str(folder), "--no-browser"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            lines = [("from the command to the address", f"{1000 * (time.perf_counter() - started):.0f} |")]
            lines += measured(Client(address), process.pid, decisions)
        finally:
            process.kill()
    return lines


def measured(client: Client, process: int, decisions: int) -> list[tuple[str, str]]:
    """What one person waits for."""

    def get(path: str) -> Callable[[], object]:
        return lambda: client.send("GET", path)

    lines = [("first page of the queue, the first time", f"{timed(get('/queue/label')):.0f} |")]
    lines += [("first page of the queue, again", spread([timed(get("/queue/label")) for _ in range(20)]))]
    lines += [("overview, the first time", f"{timed(get('/')):.0f} |")]
    lines += [("overview, again", spread([timed(get("/")) for _ in range(10)]))]
    listed = json.loads(client.send("GET", "/api/queue/label?size=500")[0])["rows"]
    rows = [one["row"] for one in listed][:decisions]
    lines += [("one item, the first time", f"{timed(get(f'/item/label/{rows[0]}')):.0f} |")]
    lines += [("one item", spread([timed(get(f"/item/label/{row}")) for row in rows[1:51]]))]
    lines += [("one label of ten, the first time", f"{timed(get('/queue/label?label=class+3')):.0f} |")]
    lines += [("a searched word, the first time", f"{timed(get('/queue/label?text=bala+deno')):.0f} |")]
    lines += [("a page far down the queue", f"{timed(get('/api/queue/label?start=500000')):.0f} |")]
    times, following = [], []
    for row in rows:
        asked = {"issue": "label", "rows": [row], "says": "accept"}
        times.append(timed(lambda asked=asked: client.send("POST", "/api/decisions", asked)))
        following.append(timed(get(f"/api/next/label?after={row}")))
    lines += [(f"a decision ({len(rows)}, the queue re-scored after every ten)", spread(times))]
    lines += [("the next row after it", spread(following))]
    lines += [("first page of the queue after the decisions", spread([timed(get("/queue/label")) for _ in range(20)]))]
    undone = [timed(lambda: client.send("POST", "/api/undo", {})) for _ in range(50)]
    lines += [("undo", spread(undone))]
    many = {"issue": "label", "rows": list(range(1000, 2000)), "says": "keep"}
    lines += [("one decision on 1,000 rows", f"{timed(lambda: client.send('POST', '/api/decisions', many)):.0f} |")]
    lines += [("peak memory, MB", f"{memory(process, 'VmHWM'):.0f} |")]
    lines += [("of it not a file, now, MB", f"{memory(process, 'RssAnon'):.0f} |")]
    return lines


def rescored(folder: Path) -> list[tuple[str, str]]:
    """Re-scoring with 10 and with 500 decisions."""
    from dross.review.desk import Desk

    desk = Desk.open(folder)
    rows = desk.queue("label").rows[np.random.default_rng(2).permutation(RESCORED)].tolist()
    lines = []
    done = 0
    for count in (10, 500):
        desk.decide("label", rows[done:count:2], "keep", author="ada")
        desk.decide("label", rows[done + 1 : count : 2], "accept", author="ada")
        done = count
        desk.teacher.wait()
        times = [timed(lambda: desk.rescore("label")) for _ in range(5)]
        lines.append((f"re-scoring {RESCORED:,} findings with {count} decisions", spread(times)))
    desk.close()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--findings", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--build", nargs=3, metavar=("FOLDER", "ROWS", "DIMENSIONS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(Path(given.build[0]), int(given.build[1]), int(given.build[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        for where, n, dimensions in ((large, given.findings, 0), (small, RESCORED, 32)):
            subprocess.run([sys.executable, __file__, "--build", str(where), str(n), str(dimensions)], check=True)
        lines = served(large, given.decisions) + rescored(small)
    cores = len(os.sched_getaffinity(0))
    text = f"{given.findings:,} findings, {cores} cores; milliseconds unless it says otherwise.\n\n"
    text += "| what | median or once | 95 % |\n|---|--:|--:|\n" + "".join(f"| {what} | {n} |\n" for what, n in lines)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
