"""Promised against achieved false-discovery rate of label findings, on data whose wrong labels are known.

    python benchmarks/calibration.py --seeds 3 --raw runs.json      # measures what runs.json lacks, then writes docs/

Labels of real and generated data are made wrong in known ways (or were by people and by rules), audited by all default
label methods at several false-discovery rates, and compared with the truth. Writes docs/calibration.md and
docs/calibration.svg. Needs the real data beside the checkout, in ../shared/data; sets that are not there are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dross.calibrate import assess
from dross.core.dataset import Dataset
from dross.core.registry import detectors
from dross.core.results import Findings, Issue
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.signals.probabilities import Probabilities

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
FDRS = (0.05, 0.1, 0.2, 0.3, 0.5)
MOST = 4000
"""Rows of a data set that are used."""


@dataclass
class Problem:
    """Rows, their true classes, and labellings that came with them (people's, rules')."""

    columns: dict[str, Any]
    roles: dict[Role, list[str]]
    truth: np.ndarray
    given: dict[str, np.ndarray] = field(default_factory=dict)

    def cut(self, most: int = MOST, seed: int = 0) -> Problem:
        """At most that many rows, drawn by the seed."""
        n = len(self.truth)
        rows = np.sort(np.random.default_rng(seed).permutation(n)[:most])
        taken = pa.table(self.columns).take(pa.array(rows))
        columns = {name: taken.column(name) for name in taken.column_names}
        return Problem(columns, self.roles, self.truth[rows], {k: v[rows] for k, v in self.given.items()})


# ---- the data -------------------------------------------------------------------------------------------------------


def cells(X: np.ndarray, y: np.ndarray) -> Problem:
    names = [f"x{i}" for i in range(X.shape[1])]
    return Problem({name: X[:, i].astype(float) for i, name in enumerate(names)}, {Role.FEATURES: names}, y)


def bundled(name: str) -> Problem:
    from sklearn import datasets

    return cells(*getattr(datasets, f"load_{name}")(return_X_y=True))


def gaussians(spread: float) -> Problem:
    rng = np.random.default_rng(7)
    y = rng.integers(0, 4, 3000)
    return cells(3 * np.eye(4)[y] + spread * rng.normal(size=(3000, 4)), y)


def mnist() -> Problem:
    from dross.io.images import encode

    z = np.load(SHARED / "mnist_label_errors/mnist_test.npz")
    return Problem({"image": encode(z["images"])}, {Role.IMAGE: ["image"]}, z["given_label"].astype(int))


def cifar() -> Problem:
    images = pq.read_table(SHARED / "cifar10n_human_noise/images_15000.parquet")
    labels = pq.read_table(SHARED / "cifar10n_human_noise/labels.parquet").take(images.column("index"))
    kinds = {"people: majority": "aggregate_label", "people: one": "random_label1", "people: worst": "worst_label"}
    given = {name: labels.column(column).to_numpy().astype(int) for name, column in kinds.items()}
    truth = labels.column("clean_label").to_numpy().astype(int)
    return Problem({"image": images.column("jpeg")}, {Role.IMAGE: ["image"]}, truth, given)


def weak(name: str) -> Problem:
    table = pq.read_table(SHARED / f"ws_cosine/{name}.parquet")
    truth = table.column("label").to_numpy().astype(int)
    rules = table.column("weak_label").to_numpy().astype(int)
    return Problem({"text": table.column("text")}, {Role.TEXT: ["text"]}, truth, {"rules": rules})


def texts(path: str, label: str) -> Problem:
    table = pq.read_table(SHARED / path)
    truth = np.unique(table.column(label).to_numpy(zero_copy_only=False), return_inverse=True)[1]
    return Problem({"text": table.column("text")}, {Role.TEXT: ["text"]}, truth)


def adult() -> Problem:
    table = pq.read_table(SHARED / "bias_tabular/adult.parquet")
    truth = np.unique(table.column("income-per-year").to_numpy(zero_copy_only=False), return_inverse=True)[1]
    names = [name for name in table.column_names if name != "income-per-year"]
    return Problem({name: table.column(name) for name in names}, {Role.FEATURES: names}, truth)


SETS: dict[str, Callable[[], Problem]] = {
    "digits": lambda: bundled("digits"),
    "breast cancer": lambda: bundled("breast_cancer"),
    "wine": lambda: bundled("wine"),
    "Gaussians apart": lambda: gaussians(0.8),
    "Gaussians overlapping": lambda: gaussians(1.5),
    "MNIST": mnist,
    "CIFAR-10N": cifar,
    "AG News": lambda: weak("agnews"),
    "IMDb": lambda: weak("imdb"),
    "Yelp": lambda: weak("yelp"),
    "20 Newsgroups": lambda: texts("twenty_news_label_errors/test.parquet", "given_label"),
    "Banking77": lambda: texts("intent_banking77/banking77.parquet", "category"),
    "Adult": adult,
}


# ---- the noise ------------------------------------------------------------------------------------------------------


def symmetric(y: np.ndarray, k: int, rate: float, rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """Any other class, equally likely."""
    rows = rng.choice(len(y), round(rate * len(y)), replace=False)
    noisy = y.copy()
    noisy[rows] = (y[rows] + rng.integers(1, k, len(rows))) % k
    return noisy


def pairwise(y: np.ndarray, k: int, rate: float, rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """Class-dependent: always the next class."""
    rows = rng.choice(len(y), round(rate * len(y)), replace=False)
    noisy = y.copy()
    noisy[rows] = (y[rows] + 1) % k
    return noisy


def one_sided(y: np.ndarray, k: int, rate: float, rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """Class-dependent: only the first half of the classes is mislabelled, as any other."""
    rows = rng.permutation(np.flatnonzero(y < max(1, k // 2)))[: round(rate * len(y))]
    noisy = y.copy()
    noisy[rows] = (y[rows] + rng.integers(1, k, len(rows))) % k
    return noisy


def doubtful(y: np.ndarray, k: int, rate: float, rng: np.random.Generator, probs: np.ndarray) -> np.ndarray:
    """Instance-dependent: rows a model of the true labels is unsure of, as the class it confuses them with."""
    other = probs.astype(float).copy()
    other[np.arange(len(y)), y] = 0
    doubt = other.sum(axis=1) + 1e-4
    rows = np.argsort(rng.exponential(size=len(y)) / doubt)[: round(rate * len(y))]
    towards = np.cumsum(other[rows] + 1e-9, axis=1)
    drawn = (towards < rng.random((len(rows), 1)) * towards[:, -1:]).sum(axis=1)
    noisy = y.copy()
    noisy[rows] = np.where(drawn == y[rows], (y[rows] + 1) % k, drawn)
    return noisy


NOISE: dict[str, tuple[Callable[..., np.ndarray], tuple[float, ...]]] = {
    "none": (symmetric, (0.0,)),
    "symmetric": (symmetric, (0.05, 0.2)),
    "pairwise": (pairwise, (0.1,)),
    "one-sided": (one_sided, (0.1,)),
    "doubtful rows": (doubtful, (0.1,)),
}


# ---- measuring ------------------------------------------------------------------------------------------------------


def labellings(
    p: Problem, seed: int, probs: np.ndarray, *, own: bool = False
) -> Iterator[tuple[str, float, np.ndarray]]:
    """The kinds of noise, the rate, and the labels; -1 where one is missing. ``own``: only those the data came with."""
    if own:
        yield from ((name, float((g[g >= 0] != p.truth[g >= 0]).mean()), g) for name, g in p.given.items())
        return
    k = int(p.truth.max()) + 1
    for kind, (make, rates) in NOISE.items():
        for rate in rates:
            if rate or seed == 0:
                yield kind, rate, make(p.truth, k, rate, np.random.default_rng(seed), probs)
    if seed == 0:
        for name, given in p.given.items():
            yield name.partition(":")[0], float((given[given >= 0] != p.truth[given >= 0]).mean()), given


def measure(name: str, p: Problem, seed: int, *, own: bool = False) -> Iterator[dict[str, Any]]:
    """One record for each labelling of a data set."""
    base = Dataset(pa.table({**p.columns, "label": p.truth}), {**p.roles, Role.LABEL: ["label"]})
    clean = Signals(base)
    probs = np.asarray(clean[Probabilities()])
    for kind, rate, labels in labellings(p, seed, probs, own=own):
        data = base.with_column("label", pa.array(labels, mask=labels < 0))
        if len(data.classes) < 2:
            continue
        signals = clean.derive(data)
        found = {}
        for method in (detector() for detector in detectors() if detector.finds is Issue.LABEL and detector.default):
            outcome = method.applies(data) or method.run(data, signals)
            if isinstance(outcome, Findings):
                found[method.name()] = (method, outcome)
        wrong = (labels != p.truth) & (labels >= 0)
        record: dict[str, Any] = {"set": name, "kind": kind, "rate": rate, "seed": seed, "n": int((labels >= 0).sum())}
        record["wrong"] = int(wrong.sum())
        for fdr in FDRS:
            started = time.process_time()
            [one] = assess(data, signals, found, fdr, seed)
            record["seconds"] = time.process_time() - started
            record[f"at {fdr}"] = outcome_of(one.findings.rows[one.flagged], wrong)
        record["share"] = one.share
        chances, defect = one.expected_precision, wrong[one.findings.rows]
        if np.isfinite(chances).all():
            at = np.minimum((chances * 10).astype(int), 9)
            record["chances"] = np.bincount(at, chances, 10).tolist()
            record["rows"] = np.bincount(at, minlength=10).tolist()
            record["defects"] = np.bincount(at, defect, 10).tolist()
        learning = found["confident-learning"][1]
        record["confident learning"] = outcome_of(learning.rows[learning.scores >= 0.5], wrong)
        given = np.asarray(signals[Probabilities()])[learning.rows, data.codes[learning.rows]]
        record["cut-off"] = outcome_of(learning.rows[given <= 0.5], wrong)
        yield record


def outcome_of(flagged: np.ndarray, wrong: np.ndarray) -> list[float]:
    """Flagged rows, the share of them that is right, and the share of the wrong rows among them."""
    hits = int(wrong[flagged].sum())
    false = 1 - hits / len(flagged) if len(flagged) else 0.0
    return [len(flagged), false, hits / max(1, int(wrong.sum()))]


# ---- the page -------------------------------------------------------------------------------------------------------

KINDS = ("none", "symmetric", "pairwise", "one-sided", "doubtful rows", "people", "rules")
COLOURS = ("#777777", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")


def averages(records: list[dict[str, Any]], key: str) -> tuple[float, float, float]:
    """Mean share of false alarms, its standard error, and mean recall; no flagged rows, no false alarms."""
    false = np.array([r[key][1] for r in records])
    error = float(false.std(ddof=1) / np.sqrt(len(false))) if len(false) > 1 else 0.0
    return float(false.mean()), error, float(np.mean([r[key][2] for r in records]))


def kinds_table(records: list[dict[str, Any]]) -> str:
    head = ["noise", "audits", *(f"promised {fdr:g}" for fdr in FDRS), "confident learning", "cut-off 0.5"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind in KINDS:
        own = [r for r in records if r["kind"] == kind]
        if own:
            keys = [*(f"at {fdr}" for fdr in FDRS), "confident learning", "cut-off"]
            cells_ = [f"{f:.3f} ± {e:.3f} (finds {r:.0%})" for f, e, r in (averages(own, key) for key in keys)]
            lines.append("| " + " | ".join([kind, str(len(own)), *cells_]) + " |")
    return "\n".join(lines)


def sets_table(records: list[dict[str, Any]], fdr: float = 0.1) -> str:
    lines = [
        "| data | noise | wrong labels | estimated | flagged | false alarms | found |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in sorted(records, key=lambda r: (list(SETS).index(r["set"]), KINDS.index(r["kind"]), r["rate"], r["seed"])):
        flagged, false, recall = r[f"at {fdr}"]
        share = "cannot tell" if r["share"] is None else "{:.3f} ({:.3f} to {:.3f})".format(*r["share"])
        found = f"{recall:.0%}" if r["wrong"] else ""
        wrong = f"{r['wrong']} of {r['n']}"
        lines.append(f"| {r['set']} | {r['kind']} | {wrong} | {share} | {flagged:.0f} | {false:.2f} | {found} |")
    return "\n".join(lines)


def chances_table(records: list[dict[str, Any]]) -> str:
    lines = ["| expected precision | rows | mean expected | truly wrong |", "|---|---|---|---|"]
    known = [r for r in records if "chances" in r]
    rows, chances, defects = (np.sum([r[key] for r in known], axis=0) for key in ("rows", "chances", "defects"))
    for i in range(10):
        if rows[i]:
            mean, true = chances[i] / rows[i], defects[i] / rows[i]
            lines.append(f"| {i / 10:.1f} to {(i + 1) / 10:.1f} | {rows[i]:.0f} | {mean:.3f} | {true:.3f} |")
    return "\n".join(lines)


def picture(records: list[dict[str, Any]]) -> str:
    """Promised against achieved as SVG: the mean of each kind of noise with two standard errors, and of each set."""

    def x(value: float) -> float:
        return 60 + 900 * value

    def y(value: float) -> float:
        return 470 - 700 * value

    ticks = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    parts = [f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(0.52)}" y2="{y(0.52)}" stroke="#999" stroke-dasharray="5 4"/>']
    parts += [f'<text x="{x(t)}" y="{y(0) + 20}" text-anchor="middle">{t:g}</text>' for t in ticks]
    parts += [f'<text x="{x(0) - 8}" y="{y(t) + 4}" text-anchor="end">{t:g}</text>' for t in [*ticks, 0.6]]
    parts += [f'<line x1="{x(0)}" x2="{x(0.52)}" y1="{y(t)}" y2="{y(t)}" stroke="#ddd"/>' for t in [*ticks, 0.6]]
    parts.append(f'<text x="{x(0.26)}" y="{y(0) + 44}" text-anchor="middle">promised false-discovery rate</text>')
    parts.append(f'<text x="{x(0)}" y="24">achieved: share of the flagged labels that is right</text>')
    for shift, (kind, colour) in enumerate(zip(KINDS, COLOURS, strict=True)):
        own = [r for r in records if r["kind"] == kind]
        if not own:
            continue
        points = [(x(fdr) + 2 * (shift - 3), *averages(own, f"at {fdr}")[:2]) for fdr in FDRS]
        path = " ".join(f"{px:.1f},{y(mean):.1f}" for px, mean, _ in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for px, mean, error in points:
            low, high = y(max(0.0, mean - 2 * error)), y(min(0.64, mean + 2 * error))
            parts.append(f'<line x1="{px}" x2="{px}" y1="{low:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{px}" cy="{y(mean):.1f}" r="3.5" fill="{colour}"/>')
        for name in sorted({r["set"] for r in own}):
            of_set = [r for r in own if r["set"] == name]
            for (px, *_), fdr in zip(points, FDRS, strict=True):
                height = y(min(0.64, averages(of_set, f"at {fdr}")[0]))
                parts.append(f'<circle cx="{px}" cy="{height:.1f}" r="2" fill="{colour}" opacity="0.35"/>')
        parts.append(f'<text x="{x(0.54)}" y="{y(0.5) + 20 * shift}" fill="{colour}">{kind} ({len(own)})</text>')
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 690 530" font-family="sans-serif" font-size="13">\n'
        f'<rect width="690" height="530" fill="white"/>\n{body}\n</svg>\n'
    )


def write(records: list[dict[str, Any]], folder: Path) -> None:
    """Write the picture, and put the tables into the page between their marks."""
    (folder / "calibration.svg").write_text(picture(records))
    page = (folder / "calibration.md").read_text()
    tables = {"kinds": kinds_table(records), "sets": sets_table(records), "chances": chances_table(records)}
    for name, table in tables.items():
        page = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: f"{m[1]}{t}\n{m[2]}", page, flags=re.DOTALL
        )
    (folder / "calibration.md").write_text(page)


def people(draws: int, most: int) -> str:
    """Labels that people wrote, over several draws of rows: promised against achieved."""
    records: list[dict[str, Any]] = []
    whole = cifar()
    for seed in range(draws):
        for record in measure("CIFAR-10N", whole.cut(most, seed), seed, own=True):
            records.append(record)
            shown = ", ".join(f"{fdr:g}: {record[f'at {fdr}']}" for fdr in FDRS)
            print(f"draw {seed}, {record['wrong']} wrong, estimated {record['share']}: {shown}", flush=True)
    head = ["labels by people", "wrong", "estimated", *(f"promised {fdr:g}" for fdr in FDRS), "cut-off 0.5"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind in whole.given:
        own = [r for r in records if r["kind"] == kind]
        wrong = np.mean([r["wrong"] / r["n"] for r in own])
        share = np.mean([r["share"][0] for r in own if r["share"] is not None])
        keys = [*(f"at {fdr}" for fdr in FDRS), "cut-off"]
        cells_ = [f"{f:.3f} ± {e:.3f} (finds {r:.0%})" for f, e, r in (averages(own, key) for key in keys)]
        lines.append("| " + " | ".join([kind.partition(": ")[2], f"{wrong:.1%}", f"{share:.1%}", *cells_]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--raw", type=Path, default=Path("calibration-runs.json"))
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--people", type=int, metavar="DRAWS", help="only people's labels, over so many draws of rows")
    options = parser.parse_args()
    if options.people:
        print(people(options.people, MOST))
        return
    records = json.loads(options.raw.read_text()) if options.raw.exists() else []
    done = {(r["set"], r["seed"]) for r in records}
    for name in options.sets:
        try:
            problem = SETS[name]()
            problem = problem.cut()
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        for seed in range(options.seeds):
            if (name, seed) not in done:
                started = time.perf_counter()
                records += measure(name, problem, seed)
                options.raw.write_text(json.dumps(records))
                print(f"{name}, seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
    write(records, options.out)


if __name__ == "__main__":
    main()
