"""Table form: planted misspellings, foreign values, missing marks and broken dependencies are found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.detect.table_form import suspicious_cells

CITIES = ("Aachen", "Bremen", "Cottbus", "Dresden", "Erfurt", "Fulda", "Gera", "Hagen", "Ingolstadt", "Jena")
COLUMNS = ("city", "zip", "price")


def table_with_errors(n: int, share: float, seed: int) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    """Cities with their codes and prices; a share of the cells is spoilt. Also which, shape (n, 3)."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, len(CITIES), n)
    cells = np.array([[CITIES[c], f"{c}{c}0{c}1", f"{rng.gamma(3, 9):.2f}"] for c in which], dtype=object)
    wrong = rng.random((n, 3)) < share
    for row, column in np.argwhere(wrong):
        text = cells[row, column]
        if column == 0:  # a letter replaced
            i = int(rng.integers(1, len(text)))
            cells[row, 0] = text[:i] + "x" + text[i + 1 :]
        elif column == 1:  # the code of another city
            other = (which[row] + rng.integers(1, len(CITIES))) % len(CITIES)
            cells[row, 1] = f"{other}{other}0{other}1"
        else:
            cells[row, 2] = str(rng.choice(["n/a", "?", "twelve"]))
    return pa.table(dict(zip(COLUMNS, cells.T.tolist(), strict=True))), wrong


@claim(
    method="table-form",
    paper="Detecting Data Errors: Where are we and what needs to be done?",
    says="pattern, vocabulary and dependency checks together find most spoilt rows with few false alarms",
)
def finds_spoilt_rows(budget: Budget) -> Evidence:
    """3 % of the cells spoilt; the baseline calls a row spoilt when a value of it is rare in its column."""
    recall, precision, rare, cells_right = [], [], [], []
    for seed in budget.seeds:
        table, wrong = table_with_errors(3000, 0.03, seed)
        flagged = np.zeros_like(wrong)
        for name, rows, cells in suspicious_cells(table):
            flagged[rows[cells.score >= 0.5], COLUMNS.index(name)] = True
        found, spoilt = np.asarray(flagged.any(axis=1)), np.asarray(wrong.any(axis=1))
        recall.append((found & spoilt).sum() / spoilt.sum())
        precision.append((found & spoilt).sum() / max(1, found.sum()))
        rare.append(_f1(np.asarray(_rare(table).any(axis=1)), spoilt))
        cells_right.append((flagged & wrong).sum() / max(1, flagged.sum()))
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True)]
    measured = {
        "recall": interval(recall),
        "precision": interval(precision),
        "F1": interval(f1),
        "F1 of calling rare values wrong": interval(rare),
    }
    measured["precision of the cell named"] = interval(cells_right)
    note = "where two columns determine each other, either may be the wrong one: both cells are named"
    holds = min(recall) >= 0.9 and min(precision) >= 0.9 and min(f1) > max(rare)
    return Evidence(measured, holds=bool(holds), over=budget.seeds, note=note)


def _rare(table: pa.Table, most: int = 3) -> npt.NDArray[np.bool_]:
    columns = [np.array(table.column(name).to_pylist(), dtype=str) for name in COLUMNS]
    counted = [np.unique(column, return_inverse=True, return_counts=True) for column in columns]
    return np.column_stack([counts[inverse] <= most for _, inverse, counts in counted])


def _f1(flagged: npt.NDArray[np.bool_], wrong: npt.NDArray[np.bool_]) -> float:
    return float(2 * (flagged & wrong).sum() / (flagged.sum() + wrong.sum()))
