"""The quality filters beside datatrove's, on the same texts: throughput of one core, and whether they agree.

    python benchmarks/filters.py --megabytes 4 --runs 3 --peer PYTHON

Texts are the documentation of Python's standard library as it stands and as pages spoilt in many ways (those of the
claims), or the ``text`` of ``--texts FILE.jsonl``. Each run is a process of its own, the tools in turn; processor
seconds, without imports, compilation and reading. ``all`` runs the four text filters over each text, so that words are
cut once for all of them where a tool can. Agreement is of the verdicts, dross with datatrove's reading of the commonest
n-gram (``min_times: 1``); reasons of the verdicts that differ are listed as dross's / datatrove's. ``--peer`` names a
Python in which ``pip install "datatrove[processing]" spacy`` was run; without it the peer is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

LISTED = ("deprecated", "obsolete", "not implemented", "undefined", "unsafe", "internal use", "experimental", "garbage",
          *(f"{a}{b}" for a in ("slurp", "blan", "crem", "dorn", "trop", "milk", "pun", "war", "hold", "sis")
            for b in ("ix", "ugga", "oid", "erer", "azzle", "umpf", "ilo", "yard", "enk", "ost")),
          *(f"{a} {b}" for a in map(str, range(20)) for b in ("bad", "worse", "worst", "ill", "evil")))  # fmt: skip
"""208 words and phrases; the English list of C4 has 403."""
DOMAINS = tuple(f"site{i}.com" for i in range(0, 3000, 3))
WORDS, SOFT, SUBWORDS = ("casino", "poker", "escort"), ("free", "win", "bet"), ("livecam", "freebet")
TEXT = ("gopher-quality", "gopher-repetition", "c4-quality", "fineweb-quality")
FILTERS = (*TEXT, "all", "word-list", "url-filter")


def make(path: Path, megabytes: float, given: str) -> None:
    """One JSON line a text: the text and an address."""
    import numpy as np

    rng = np.random.default_rng(0)
    texts = [json.loads(line)["text"] for line in Path(given).read_text().splitlines()] if given else ours()
    order, size = rng.permutation(len(texts)).tolist(), 0
    with path.open("w") as file:
        for i in order:
            word = str(
                rng.choice([*WORDS, *SOFT, "about", "news", "free-bet-win", "bet/win", "live-cams", "docs", "shop"])
            )
            url = f"https://www.site{rng.integers(0, 3000)}.com/{word}/{i}"
            file.write(json.dumps({"text": texts[i], "url": url}) + "\n")
            size += len(texts[i].encode())
            if size > megabytes * 1e6:
                break


def ours() -> list[str]:
    import numpy as np

    from dross.claims._texts import docstrings
    from dross.claims.curate import c4_quality, fineweb_quality, gopher_quality, gopher_repetition
    from dross.claims.curate._pages import pages, prose

    rng = np.random.default_rng(1)
    claims = (gopher_quality, gopher_repetition, c4_quality, fineweb_quality)
    spoils = [spoil for claim in claims for spoil in claim.SPOILS.values()]
    sound = pages(700, 0, prose("{}|\\"))
    spoilt = [spoil(page, rng) for i, spoil in enumerate(spoils) for page in pages(25, i + 1, prose("{}|\\"))]
    return [*[text for text in docstrings() if len(text) > 200], *sound, *pages(100, 99), *spoilt]


# ---- dross -------------------------------------------------------------------------------------------------------


def run_dross(name: str, texts: list[str], urls: list[str], folder: Path) -> Any:
    """A function that does the work and returns the reasons, empty where a text is kept, and the texts left."""
    import pyarrow as pa

    from dross.core.registry import method
    from dross.core.step import Rows

    fields: dict[str, dict[str, Any]] = {
        "gopher-repetition": {"min_times": 1},
        "word-list": {"words": LISTED},
        "url-filter": {"domains": DOMAINS, "words": WORDS, "soft_words": SOFT, "subwords": SUBWORDS},
    }
    names = TEXT if name == "all" else (name,)
    steps: list[Any] = [method(one)(**fields.get(one, {})) for one in names]
    places = [folder / step.name() for step in steps]
    for step, place in zip(steps, places, strict=True):
        place.mkdir(exist_ok=True)
        step.prepare(place)
    ready = [step.ready(place) for step, place in zip(steps, places, strict=True)]
    table = pa.table({"text": pa.array(texts, pa.large_string()), "url": urls})

    def work() -> tuple[list[str], list[str]]:
        why, left = [""] * len(texts), texts
        rows = Rows(table, "text")
        for step, held in zip(steps, ready, strict=True):
            verdict = step.judge(rows, held)
            why = [step.reasons[i] if i >= 0 else "" for i in verdict.reason.tolist()]
            left = verdict.changed["text"].to_pylist() if name == "c4-quality" else left
        return why, left

    return work


# ---- datatrove ---------------------------------------------------------------------------------------------------


def run_datatrove(name: str, texts: list[str], urls: list[str], folder: Path) -> Any:
    from datatrove.data import Document

    filters = [filter_of(one) for one in (TEXT if name == "all" else (name,))]

    def work() -> tuple[list[str], list[str]]:
        why, left = [], []
        for i, text in enumerate(texts):
            document = Document(text=text, id=str(i), metadata={"url": urls[i]})
            for one in filters:
                document.text = text
                try:
                    found = one.filter(document)
                except ZeroDivisionError:  # a text without a word or a line
                    found = False, "error"
            why.append("" if found is True else str(found[1] if isinstance(found, tuple) else "dropped"))
            left.append(document.text)
        return why, left

    return work


def filter_of(name: str) -> Any:
    import re

    from datatrove.pipeline import filters

    if name == "word-list":
        found = filters.C4BadWordsFilter()
        pattern = r"(?:\W|^)({})(?:\W|$)".format("|".join(map(re.escape, LISTED)))
        found._badwords_regex["en"] = re.compile(
            pattern
        )  # its own list, which it would fetch, compiled in the same way
        return found
    if name == "url-filter":
        from tldextract import TLDExtract

        lists = {"banned_words": WORDS, "soft_banned_words": SOFT, "banned_subwords": SUBWORDS}
        found = filters.URLFilter(extra_domains=DOMAINS, use_integrated_lists=False, **lists)
        found.tldextractor = TLDExtract(suffix_list_urls=())  # the list that comes with it
        return found
    return {
        "gopher-quality": filters.GopherQualityFilter,
        "gopher-repetition": filters.GopherRepetitionFilter,
        "c4-quality": filters.C4QualityFilter,
        "fineweb-quality": filters.FineWebQualityFilter,
    }[name]()


# ---- comparing ---------------------------------------------------------------------------------------------------


def one(tool: str, name: str, folder: Path) -> None:
    """One measured run: processor seconds, printed as JSON; verdicts go to a file."""
    rows = [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()]
    texts, urls = [row["text"] for row in rows], [row["url"] for row in rows]
    run = run_dross if tool == "dross" else run_datatrove
    run(name, texts[:20], urls[:20], folder)()  # imports and compilation
    work = run(name, texts, urls, folder)
    started = time.process_time()
    found = work()
    seconds = time.process_time() - started
    (folder / f"{tool}-{name}.json").write_text(json.dumps(found))
    print(json.dumps({"seconds": seconds}))


def measured(tool: str, name: str, folder: Path, peer: str) -> float:
    python = sys.executable if tool == "dross" else peer
    command = [python, __file__, "--one", tool, name, "--folder", str(folder)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **threads})
    if done.returncode:
        raise SystemExit(f"{tool} failed at {name}:\n{done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def agreement(name: str, folder: Path) -> str:
    """The share of texts with the same verdict, and the commonest reasons of the others."""
    (mine, left), (theirs, other) = (
        json.loads((folder / f"{tool}-{name}.json").read_text()) for tool in ("dross", "datatrove")
    )
    apart = Counter(f"{a or 'kept'} / {b or 'kept'}" for a, b in zip(mine, theirs, strict=True) if bool(a) != bool(b))
    dropped = sum(map(bool, mine)) / len(mine), sum(map(bool, theirs)) / len(theirs)
    text = f"agree {1 - apart.total() / len(mine):.4f}; dropped {dropped[0]:.3f} / {dropped[1]:.3f}"
    if name == "c4-quality":
        both = [(a, b) for a, b, x, y in zip(left, other, mine, theirs, strict=True) if not x and not y]
        text += f"; same text left {sum(a == b for a, b in both) / max(1, len(both)):.4f}"
    return "\n      ".join([text, *(f"{count:>5} {pair}" for pair, count in apart.most_common(8))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", default="", help="a Python that has datatrove")
    parser.add_argument("--texts", default="", help="JSON lines with a text each")
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "FILTER"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(*asked.one, asked.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), asked)


def compare(folder: Path, asked: argparse.Namespace) -> None:
    make(folder / "texts.jsonl", asked.megabytes, asked.texts)
    rows = [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()]
    tools = ["dross", *(["datatrove"] if asked.peer else [])]
    print(f"{len(rows):,} texts, {sum(len(row['text'].encode()) for row in rows) / 1e6:.1f} MB; {' '.join(tools)}")
    for name in asked.filters:
        megabytes = sum(len(row["url" if name == "url-filter" else "text"].encode()) for row in rows) / 1e6
        seconds: dict[str, list[float]] = {tool: [] for tool in tools}
        for _ in range(asked.runs):
            for tool in tools:
                seconds[tool].append(measured(tool, name, folder, asked.peer))
        speeds = "  ".join(f"{tool} {megabytes / median(seconds[tool]):.4g} MB/s" for tool in tools)
        print(f"{name:<18} {speeds}", flush=True)
        if asked.peer:
            ratios = [b / a for a, b in zip(seconds["dross"], seconds["datatrove"], strict=True)]
            print(f"      {median(ratios):.3g} times as fast (median of paired runs)")
            if name != "all":
                print(f"      {agreement(name, folder)}", flush=True)


if __name__ == "__main__":
    main()
