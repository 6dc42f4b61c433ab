"""What dross finds on real data with known defects, beside its peers on the same inputs.

    python benchmarks/real_data.py --data ../shared/data [--only mnist adult] [--write docs/real_data.md]

Needs ``pip install cleanlab==2.9.0 crowd-kit rensa`` for the peers' columns. Every figure comes from this run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

import dross

Row = tuple[str, str, float, str, float]
"""What was measured, on how many rows, dross's figure, the peer and the peer's figure."""
NONE = float("nan")


def dense(audit: Any, issue: str, n: int) -> np.ndarray:
    """The score of each row for one issue, 0 where nothing was found."""
    found = audit.findings(issue)
    scores = np.zeros(n)
    scores[found["row"].to_numpy()] = found["score"].to_numpy()
    return scores


def flagged(audit: Any, issue: str, n: int) -> np.ndarray:
    out = np.zeros(n, bool)
    out[audit.findings(issue, flagged=True)["row"].to_numpy()] = True
    return out


def quality(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    hit = (found & truth).sum()
    precision, recall = hit / max(1, found.sum()), hit / max(1, truth.sum())
    return float(precision), float(recall), float(2 * hit / max(1, found.sum() + truth.sum()))


def judged(folder: Path, audit: Any, labels: np.ndarray, probs: np.ndarray) -> Iterator[Row]:
    """Rows that five people judged: ranking by the combined score against cleanlab's."""
    from cleanlab.rank import get_label_quality_scores

    verified = pl.read_parquet(folder / "verified.parquet")
    at, wrong = verified["index"].to_numpy(), (verified["verdict"] != "given_ok").to_numpy()
    ours = dense(audit, "label", len(labels))[at]
    theirs = 1 - get_label_quality_scores(labels, probs)[at]
    size = f"{len(at)} judged rows"
    yield "ROC-AUC", size, roc_auc_score(wrong, ours), "cleanlab", roc_auc_score(wrong, theirs)
    yield (
        "average precision",
        size,
        average_precision_score(wrong, ours),
        "cleanlab",
        average_precision_score(wrong, theirs),
    )


def mnist(root: Path) -> Iterator[Row]:
    folder = root / "mnist_label_errors"
    kept = np.load(folder / "mnist_test.npz")
    probs = kept["pred_probs"].astype(np.float32)
    probs /= probs.sum(1, keepdims=True)
    labels = kept["given_label"].astype(int)
    yield from judged(folder, dross.audit(dross.load(X=kept["images"], label=labels, pred_probs=probs)), labels, probs)


def twenty_news(root: Path) -> Iterator[Row]:
    folder = root / "twenty_news_label_errors"
    table = pl.read_parquet(folder / "test.parquet")
    probs = np.load(folder / "pred_probs.npz")["pred_probs"].astype(np.float32)
    probs /= probs.sum(1, keepdims=True)
    column = next(c for c in table.columns if c in {"label", "given_label", "target"})
    labels = table[column].to_numpy().astype(int)
    data = dross.load({"text": table["text"], "label": labels}, text="text", label="label", pred_probs=probs)
    yield from judged(folder, dross.audit(data), labels, probs)


def cifar10n(root: Path) -> Iterator[Row]:
    """Human labels; probabilities and embeddings are dross's own classical ones, given to cleanlab too."""
    from cleanlab.filter import find_label_issues

    from dross.signals.probabilities import Probabilities

    folder = root / "cifar10n_human_noise"
    images = pl.read_parquet(folder / "images_15000.parquet")
    labels = pl.read_parquet(folder / "labels.parquet")[images["index"].to_numpy()]
    clean = labels["clean_label"].to_numpy()
    for kind in ("aggregate_label", "random_label1", "worst_label"):
        given = labels[kind].to_numpy()
        wrong = given != clean
        data = dross.load({"image": images["jpeg"], "label": given}, image="image", label="label")
        audit = dross.audit(data)
        probs = np.asarray(audit.signals[Probabilities()])
        name, size = f"{kind.split('_')[0]} ({wrong.mean():.0%} wrong)", f"{len(given):,} images"
        ours = dense(audit, "label", len(given))
        precision, recall, f1 = quality(flagged(audit, "label", len(given)), wrong)
        theirs = quality(find_label_issues(given, probs), wrong)
        own = 1 - probs[np.arange(len(given)), given]
        yield (
            f"{name}: average precision",
            size,
            average_precision_score(wrong, ours),
            "1 - p(given)",
            average_precision_score(wrong, own),
        )
        yield f"{name}: precision of the flagged (0.9 asked for)", size, precision, "cleanlab", theirs[0]
        yield f"{name}: recall", size, recall, "cleanlab", theirs[1]
        yield f"{name}: F1", size, f1, "cleanlab", theirs[2]


def banking77(root: Path) -> Iterator[Row]:
    """Real intents with a tenth of the labels flipped."""
    from cleanlab.filter import find_label_issues

    from dross.signals.probabilities import Probabilities

    table = pl.read_parquet(root / "intent_banking77" / "banking77.parquet")
    rng = np.random.default_rng(0)
    names, codes = np.unique(table["category"].to_numpy(), return_inverse=True)
    wrong = rng.random(len(codes)) < 0.1
    given = np.where(wrong, (codes + rng.integers(1, len(names), len(codes))) % len(names), codes)
    data = dross.load({"text": table["text"], "label": names[given]}, text="text", label="label")
    audit = dross.audit(data)
    probs = np.asarray(audit.signals[Probabilities()])
    ours = quality(flagged(audit, "label", len(given)), wrong)
    theirs = quality(find_label_issues(data.codes, probs), wrong)
    size = f"{len(given):,} texts, 10 % flipped"
    for i, name in enumerate(("precision of the flagged (0.9 asked for)", "recall", "F1")):
        yield name, size, ours[i], "cleanlab", theirs[i]
    plain = dross.audit(dross.load({"text": table["text"], "label": table["category"]}, text="text", label="label"))
    conflicts = plain.findings("conflict", flagged=True).height
    yield "copies with different intents, as published", f"{len(given):,} texts", conflicts, "", NONE


def ner(root: Path) -> Iterator[Row]:
    """Entities with the number of models that agree; baseline: that number alone."""
    table = pl.read_parquet(root / "ner_conll_entity_errors" / "entities.parquet")
    wrong = table["is_error"].to_numpy()
    columns = {"entity": table["entity"], "models": table["num_models"].fill_null(0), "type": table["corpus_ent_type"]}
    audit = dross.audit(dross.load(columns, text="entity", features=["models"], label="type", split=None))
    ours, base = dense(audit, "label", len(wrong)), -table["num_models"].fill_null(0).to_numpy()
    size = f"{len(wrong):,} entities"
    yield "ROC-AUC", size, roc_auc_score(wrong, ours), "few models agree", roc_auc_score(wrong, base)
    yield (
        "average precision",
        size,
        average_precision_score(wrong, ours),
        "few models agree",
        average_precision_score(wrong, base),
    )


def mmlu(root: Path) -> Iterator[Row]:
    """Questions; a defect is mostly one of knowledge, which nothing here can see: a figure near 0.5 is expected."""
    table = pl.read_parquet(root / "mmlu_redux_errors" / "questions.parquet")
    wrong = (table["error_type"] != "ok").to_numpy()
    texts = [f"{q} {' '.join(json.loads(c))}" for q, c in zip(table["question"], table["choices"], strict=True)]
    audit = dross.audit(dross.load({"text": texts, "answer": table["answer"]}, text="text", label="answer"))
    scores = [dense(audit, issue, len(wrong)) for issue in audit.run["issues"]]
    size = f"{len(wrong):,} questions, {wrong.mean():.0%} defective"
    yield "ROC-AUC of the worst score of any kind", size, roc_auc_score(wrong, np.max(scores, axis=0)), "chance", 0.5


def crowds(root: Path) -> Iterator[Row]:
    """Accuracy of the consensus on items with gold; mean over the eleven sets."""
    folder = root / "crowd_truth_inference"
    labels, truth = pl.read_parquet(folder / "labels.parquet"), pl.read_parquet(folder / "truth.parquet")
    runs = []
    for (name,), part in labels.group_by("dataset", maintain_order=True):
        gold = truth.filter(pl.col("dataset") == name)
        runs.append(_consensus(part, dict(zip(gold["item"], gold["truth"], strict=True))))
    size = f"{len(truth):,} gold items, {len(runs)} sets"
    mean = {kind: float(np.mean([run[kind][0] for run in runs])) for kind in runs[0]}
    spent = {kind: float(np.sum([run[kind][1] for run in runs])) for kind in runs[0]}
    yield "Dawid-Skene, mean accuracy", size, mean["dawid-skene"], "crowd-kit", mean["crowd-kit"]
    yield "Dawid-Skene, mean accuracy", size, mean["dawid-skene"], "majority vote", mean["majority"]
    yield "GLAD, mean accuracy", size, mean["glad"], "majority vote", mean["majority"]
    yield "Dawid-Skene, seconds", size, spent["dawid-skene"], "crowd-kit", spent["crowd-kit"]


def _consensus(part: pl.DataFrame, gold: dict[Any, Any]) -> dict[str, tuple[float, float]]:
    """Accuracy and seconds of each way to agree on one set."""
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    from dross.models.crowd import dawid_skene, glad
    from dross.models.votes import Votes, majority

    names = {c: sorted(part[c].unique()) for c in ("item", "worker", "label")}
    codes = {
        c: part[c].replace_strict(dict(zip(values, range(len(values)), strict=True))).to_numpy()
        for c, values in names.items()
    }
    order = np.argsort(codes["item"], kind="stable")
    votes = Votes(
        np.searchsorted(codes["item"][order], np.arange(len(names["item"]) + 1)),
        codes["worker"][order].astype(np.int32),
        codes["label"][order].astype(np.int32),
        [str(w) for w in names["worker"]],
        names["label"],
    )
    frame = pd.DataFrame({"task": part["item"], "worker": part["worker"], "label": part["label"]})
    ways: dict[str, Callable[[], Any]] = {
        "majority": lambda: majority(votes),
        "dawid-skene": lambda: dawid_skene(votes).probs,
        "glad": lambda: glad(votes).probs,
        "crowd-kit": lambda: DawidSkene(n_iter=100).fit_predict(frame),
    }
    dawid_skene(votes)  # compiles
    out = {}
    for kind, way in ways.items():
        started = time.perf_counter()
        answer = way()
        seconds = time.perf_counter() - started
        if isinstance(answer, np.ndarray):
            answer = {item: names["label"][c] for item, c in zip(names["item"], answer.argmax(1), strict=True)}
        out[kind] = (float(np.mean([answer[item] == label for item, label in gold.items() if item in answer])), seconds)
    return out


def records(root: Path) -> Iterator[Row]:
    """Records of one person or article standing twice: found copies against the known entities."""
    for name in ("febrl1", "febrl2", "febrl3"):
        table = pl.read_parquet(root / "febrl_duplicates" / f"{name}.parquet")
        entity = table["entity"].to_numpy()
        data = dross.load(table.drop("rec_id", "entity"), id=None, label=None)
        yield from _copies(name, dross.audit(data), entity)
    table = pl.read_parquet(root / "entity_matching" / "dblp_acm.parquet").filter(pl.col("match") == 1)
    rows = [json.loads(r) for side in ("left", "right") for r in table[side].to_list()]
    unique = list({json.dumps(r, sort_keys=True): r for r in rows}.values())
    names = {json.dumps(r, sort_keys=True): i for i, r in enumerate(unique)}
    parent = list(range(len(unique)))
    for left, right in zip(table["left"].to_list(), table["right"].to_list(), strict=True):
        a, b = (names[json.dumps(json.loads(r), sort_keys=True)] for r in (left, right))
        parent[max(a, b)] = min(parent[a], parent[b])
    data = dross.load(pl.DataFrame(unique), id=None, label=None, text=None)
    yield from _copies("dblp-acm, matched articles", dross.audit(data), np.array(parent))


def _copies(name: str, audit: Any, entity: np.ndarray) -> Iterator[Row]:
    found = np.zeros(len(entity), bool)
    right = []
    for issue in ("duplicate", "near_duplicate", "semantic_duplicate"):
        frame = audit.findings(issue, flagged=True)
        rows, twins = frame["row"].to_numpy(), frame["suggestion"].cast(pl.Int64).to_numpy()
        found[rows] = True
        right += (entity[rows] == entity[twins]).tolist()
    _, first = np.unique(entity, return_index=True)
    copies = np.ones(len(entity), bool)
    copies[first] = False
    size = f"{len(entity):,} records, {copies.sum():,} copies"
    yield f"{name}: share of named twins that are right", size, float(np.mean(right)) if right else NONE, "", NONE
    yield f"{name}: copies found", size, float((found & copies).sum() / copies.sum()), "", NONE


def adbench(root: Path) -> Iterator[Row]:
    """Mean ROC-AUC over the sets; every other tool at its defaults."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.preprocessing import StandardScaler

    scores: dict[str, list[float]] = {"dross": [], "IsolationForest": [], "LOF": []}
    for file in sorted((root / "outliers_adbench").glob("*.npz")):
        kept = np.load(file)
        X, y = kept["X"].astype(np.float64), kept["y"].astype(int)
        audit = dross.audit(dross.load(X=X), only=["knn-outliers"])
        Z = StandardScaler().fit_transform(X)
        scores["dross"].append(roc_auc_score(y, dense(audit, "outlier", len(y))))
        scores["IsolationForest"].append(roc_auc_score(y, -IsolationForest(random_state=0).fit(Z).score_samples(Z)))
        scores["LOF"].append(roc_auc_score(y, -LocalOutlierFactor(20).fit(Z).negative_outlier_factor_))
    for peer in ("IsolationForest", "LOF"):
        yield (
            "mean ROC-AUC",
            f"{len(scores['dross'])} sets",
            float(np.mean(scores["dross"])),
            peer,
            float(np.mean(scores[peer])),
        )


def adult(root: Path) -> Iterator[Row]:
    """Exact copies, missing marks, and the slice a model serves worst."""
    table = pl.read_parquet(root / "bias_tabular" / "adult.parquet")
    audit = dross.audit(dross.load(table, label="income-per-year", group=["sex", "race"]))
    copies = int(table.is_duplicated().sum() - table.filter(table.is_duplicated()).unique().height)
    found = flagged(audit, "duplicate", len(table)).sum()
    size = f"{len(table):,} rows"
    yield (
        "exact copies found (labels left out of the comparison)",
        size,
        float(found),
        "polars, labels compared",
        float(copies),
    )
    marks = (table.select(pl.col(pl.String) == "?").sum_horizontal() > 0).to_numpy()
    rows = np.zeros(len(table), bool)
    form = audit.findings("form")
    rows[form["row"].to_numpy()] = form["score"].to_numpy() >= 0.5
    yield "rows with '?' found", size, float((rows & marks).sum() / marks.sum()), "", NONE


def tables(root: Path) -> Iterator[Row]:
    """Cells: what the dirty table holds where the clean one differs."""
    from dross.detect.table_form import suspicious_cells

    for name in ("hospital", "beers", "tax10k"):
        dirty, clean = (
            pl.read_parquet(root / "tables_dirty_clean" / f"{name}_{k}.parquet") for k in ("dirty", "clean")
        )
        wrong = {
            (column, row)
            for column in dirty.columns
            for row, (a, b) in enumerate(zip(dirty[column], clean[column], strict=True))
            if (a or "").strip() != (b or "").strip()
        }
        found = {
            (column, row)
            for column, rows, cells in suspicious_cells(dirty.to_arrow())
            for row, score in zip(rows.tolist(), cells.score.tolist(), strict=True)
            if score >= 0.5
        }
        hit, size = len(found & wrong), f"{len(wrong):,} wrong cells"
        yield f"{name}: precision", size, hit / max(1, len(found)), "", NONE
        yield f"{name}: recall", size, hit / len(wrong), "", NONE


SETS = {
    f.__name__: f for f in (mnist, twenty_news, cifar10n, banking77, ner, mmlu, crowds, records, adbench, adult, tables)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    lines = ["| data | measured | on | dross | peer | peer's figure |", "|---|---|---|---|---|---|"]
    for name in asked.only:
        for what, size, ours, peer, theirs in SETS[name](asked.data):
            shown = "" if np.isnan(theirs) else f"{theirs:.3g}"
            lines.append(f"| {name} | {what} | {size} | {ours:.3g} | {peer} | {shown} |")
            print(lines[-1], flush=True)
    if asked.write:
        asked.write.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
