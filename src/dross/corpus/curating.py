"""Curating: a recipe goes over a corpus, pass after pass, and leaves a smaller, documented one."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dross.core.errors import DrossError
from dross.core.hashing import digest
from dross.core.method import Selector
from dross.core.roles import Role
from dross.core.signal import Progress, silent
from dross.core.step import MakingStep, RowStep, Step, WholeStep
from dross.corpus import closing, passes
from dross.corpus.files import full, read_json, write_json
from dross.corpus.finishing import ROWS
from dross.corpus.in_memory import InMemory, decide
from dross.corpus.meeting import Meeting, Reading, meet, read_reference, settle
from dross.corpus.passes import Pass, Segment, Settled, Task, run_task
from dross.corpus.pieces import PIECE, Piece, pieces_of
from dross.corpus.reading import Wanted
from dross.corpus.recipe import Recipe
from dross.corpus.report import REPORT, Report
from dross.corpus.sampling import Sampling, joined, smallest
from dross.corpus.sketches import Shelves
from dross.engine import Engine, engine

T = TypeVar("T")
R = TypeVar("R")
WORK = ".work"
_PART = 1 << 26


@dataclass(frozen=True)
class Layout:
    """How a corpus is divided; the result does not depend on it, except for the number of rows in a file.

    Attributes
    ----------
    piece
        Bytes of a file that one worker reads at most, where the file can be divided.
    parts
        Parts of the keys when rows meet; chosen by the size of the corpus when None.
    rows
        Rows of one file of the finished corpus.
    """

    piece: int = PIECE
    parts: int | None = None
    rows: int = ROWS


@dataclass
class Run:
    """A run under way."""

    recipe: Recipe
    pieces: list[Piece]
    out: Path
    engine: Engine
    layout: Layout
    progress: Progress
    token: str
    passes: list[list[dict[str, Any]]] = field(default_factory=list)
    between: list[dict[str, Any]] = field(default_factory=list)
    others: list[Piece] = field(default_factory=list)
    other_counts: list[int] = field(default_factory=list)

    @property
    def work(self) -> Path:
        """Where files lie until the run is finished."""
        return self.out / WORK

    @property
    def parts(self) -> int:
        """Parts of the keys."""
        return self.layout.parts or min(4096, max(4, sum(piece.size for piece in self.pieces) // _PART))

    def over(
        self, what: str, work: Callable[[T], R], tasks: Sequence[T], sizes: Sequence[int] | None = None
    ) -> list[R]:
        """Run tasks and report progress, by their sizes where these are known; results in the order of the tasks."""
        sizes = sizes or [1] * len(tasks)
        done, total = 0, max(1, sum(sizes))
        out: dict[int, R] = {}
        self.progress(what, 0, total)
        for i, result in self.engine.run(work, tasks):
            out[i] = result
            done += sizes[i]
            self.progress(what, done, total)
        return [out[i] for i in range(len(tasks))]


def curate(
    recipe: Recipe | Sequence[Any] | str | Path,
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    engine_name: str = "local",
    workers: int | None = None,
    address: str | None = None,
    layout: Layout | None = None,
    progress: Progress = silent,
) -> Report:
    """Take a corpus through a recipe.

    Parameters
    ----------
    recipe
        A :class:`Recipe`, a YAML file with one, or a list of steps.
    inputs
        Files, folders or globs of JSON Lines (also ``.gz`` and ``.zst``) or Parquet.
    out
        A new folder; or the folder of a run of the same recipe over the same files that was interrupted, which goes on.
    engine_name, workers, address
        Where the work runs: see :func:`dross.engine.engine`.
    layout
        How the corpus is divided.
    progress
        Called with what is being done, how much of it is, and of how much.

    Returns
    -------
    Report
        What each step did. The folder holds the rows that are left (``part-*``), where each came from (``origins/``),
        every dropped row with its reason (``dropped/STEP/``), old values of changed ones (``changed/STEP/``), the
        recipe with every field, and this report (``report.json``, ``README.md``).

    Raises
    ------
    DrossError
        When the recipe or the files are not as they must be. What was finished is kept.
    """
    if isinstance(recipe, str | Path):
        recipe = Recipe.read(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = Recipe.of(recipe)
    given, out = [inputs] if isinstance(inputs, str | Path) else list(inputs), Path(out).absolute()
    layout = layout or Layout()
    pieces = pieces_of([str(one) for one in given], layout.piece)
    passes.forget()
    with engine(engine_name, workers, address) as chosen, _held(out, recipe, pieces, layout) as token:
        run = Run(recipe, pieces, out, chosen, layout, progress, token)
        started = time.time()
        with full(run.out):
            segments = _passes(run)
            return closing.close(run, segments, engine_name, started)


# ---- the folder --------------------------------------------------------------------------------------------------


@contextmanager
def _held(out: Path, recipe: Recipe, pieces: list[Piece], layout: Layout) -> Iterator[str]:
    """Hold the folder for one run; the token of that run, the same one when it goes on."""
    work = out / WORK
    if (out / REPORT).exists():
        raise DrossError("there is a finished corpus already", where=str(out), fix="name another --out")
    if out.exists() and not work.exists() and any(out.iterdir()):
        raise DrossError("the folder is not empty", where=str(out), fix="name a new folder with --out")
    with full(out):
        work.mkdir(parents=True, exist_ok=True)
    files = list(dict.fromkeys(piece.file for piece in pieces))
    key = digest(str(recipe.plain()), *files, str(layout.rows), str(layout.parts))
    known = read_json(work / "run.json")
    if known is None:
        known = {"key": key, "token": uuid.uuid4().hex[:8]}
        write_json(work / "run.json", known)
    elif known["key"] != key:
        raise DrossError(
            "a run of another recipe, or over other files, was interrupted here",
            where=str(out),
            fix="run that one again to go on with it, or name another --out",
        )
    with _locked(work / "lock", out):
        yield str(known["token"])
        shutil.rmtree(work)


@contextmanager
def _locked(path: Path, out: Path) -> Iterator[None]:
    import fcntl

    with path.open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DrossError(
                "another run is writing to this folder", where=str(out), fix="wait until it ends"
            ) from error
        yield


# ---- the passes --------------------------------------------------------------------------------------------------


@dataclass
class _Plan:
    """What the next pass will do."""

    sources: Sequence[Piece | Segment]
    prepared: str
    settled: tuple[int, Settled, str] | None = None
    steps: list[tuple[int, RowStep | MakingStep]] = field(default_factory=list)


def _passes(run: Run) -> list[Segment]:
    """All passes, one after the other; the rows that the last one leaves."""
    plan = _Plan(run.pieces, _prepared(run))
    for at, step in enumerate(run.recipe.steps):
        if isinstance(step, Step) and step.learns:
            if plan.steps or plan.settled or not run.passes:
                _, segments = _one_pass(run, plan, None)
                plan = _Plan(segments, plan.prepared)
            _learn(run, at, step, plan)
        if isinstance(step, RowStep | MakingStep):
            plan.steps.append((at, step))
            continue
        what, segments = _one_pass(run, plan, (at, step) if isinstance(step, WholeStep) else None)
        plan = _Plan(segments, plan.prepared, (at, *_decided(run, at, step, what, segments)))
    return _one_pass(run, plan, None)[1]


def _learn(run: Run, at: int, step: Step, plan: _Plan) -> None:
    """Show a step a sample of the rows that come to it."""
    place = Path(plan.prepared) / f"{at:02d}"
    marker = place.with_suffix(".learnt")
    if not marker.exists():
        segments = [source for source in plan.sources if isinstance(source, Segment)]
        tasks = [Sampling(segment, run.recipe.text, step.learns) for segment in segments]
        label = run.recipe.labels[at]
        parts = run.over(f"{label}: a sample", smallest, tasks, [segment.size for segment in segments])
        run.progress(f"{label}: learning", 0, 1)
        step.learn(joined(parts, run.recipe.text, step.learns), place)
        write_json(marker, True)


def _one_pass(run: Run, plan: _Plan, sketcher: tuple[int, WholeStep] | None) -> tuple[Pass, list[Segment]]:
    folder = run.work / f"pass-{len(run.passes):02d}"
    folder.mkdir(exist_ok=True)
    first = not run.passes
    what = Pass(
        folder=str(folder),
        wanted=Wanted(run.recipe.text, _columns(run.recipe), run.recipe.bad_lines == "drop"),
        prepared=plan.prepared,
        settled=plan.settled,
        steps=tuple(plan.steps),
        sketcher=sketcher,
        parts=run.parts,
        named=run.recipe.id if first else "",
    )
    labels = [run.recipe.labels[i] for i, _ in what.steps] or ["reading"]
    tasks = [Task(what, i, source) for i, source in enumerate(plan.sources)]
    label = f"{labels[0]}{' …' if len(labels) > 1 else ''}"
    done = run.over(label, run_task, tasks, [source.size for source in plan.sources])
    run.passes.append(done)
    if first:
        _unchanged(run, digest(*(one["source"] for one in done)))
    return what, [Segment(**one) for result in done for one in result["segments"]]


def _unchanged(run: Run, sources: str) -> None:
    """Once all files have been read, what follows from them must not be mixed with what follows from others."""
    path = run.work / "sources.json"
    known = read_json(path)
    if known is None:
        write_json(path, sources)
    elif known != sources:
        fix = f"remove {run.work} and run the command again, or name another --out"
        raise DrossError("files have changed since the run was interrupted", where=str(run.out), fix=fix)


def _decided(run: Run, at: int, step: Step | Selector, what: Pass, segments: list[Segment]) -> tuple[Settled, str]:
    """The decisions of a step for which rows must meet."""
    label = run.recipe.labels[at]
    path = run.work / f"{label}-{run.token}.decisions"
    if isinstance(step, Selector):
        if not path.exists():
            run.progress(label, 0, 1)
            decide(step, segments, _roles(run.recipe), path, label)
        return InMemory(), str(path)
    assert isinstance(step, WholeStep)
    folder = run.work / label
    folder.mkdir(exist_ok=True)
    done = [*run.passes[-1], *_references(run, at, step, what, folder)]
    sketches = tuple(path for one in done for path in one["sketches"])
    shelves = Shelves(tuple(stem for one in done for stem in one["stems"]))
    parts = 1 if step.together else run.parts
    tasks = [Meeting(step, sketches, shelves, i, parts, str(folder / f"{i:04d}.found")) for i in range(parts)]
    for found in run.over(label, meet, tasks):
        run.between.append({"steps": {str(at): found}, "touched": [], "files": []})
    found_in = [Path(task.path) for task in tasks]
    if not path.exists():
        settle(step, found_in, shelves, path)
    for file in (*map(Path, sketches), *shelves.files(), *found_in):  # all that they said stands in the decisions
        file.unlink(missing_ok=True)
    return step, str(path)


def _references(run: Run, at: int, step: WholeStep, what: Pass, folder: Path) -> list[dict[str, Any]]:
    """What was read of other corpora."""
    sources = step.references()
    if not sources:
        return []
    first = len(run.others)
    found = pieces_of(list(sources), run.layout.piece)
    others = [Piece(first + i, p.file, p.format, p.start, p.stop, p.size) for i, p in enumerate(found)]
    place = str(Path(what.prepared) / f"{at:02d}")
    wanted = Wanted(run.recipe.text, step.reads(), what.wanted.drop_broken)
    where = folder / "references"
    where.mkdir(exist_ok=True)
    tasks = [Reading(step, piece, wanted, place, str(where / f"{i:06d}"), what.parts) for i, piece in enumerate(others)]
    done = run.over(f"{run.recipe.labels[at]}: the other corpus", read_reference, tasks, [p.size for p in others])
    run.others += others
    run.other_counts += [one["count"] for one in done]
    return done


def _prepared(run: Run) -> str:
    """What the steps make once, each in a folder of its own."""
    where = run.work / f"prepared-{run.token}"
    for i, step in enumerate(run.recipe.steps):
        place, marker = where / f"{i:02d}", where / f"{i:02d}.json"
        if not isinstance(step, Step) or marker.exists():
            continue
        run.progress(f"{run.recipe.labels[i]}: preparing", i, len(run.recipe.steps))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        step.prepare(place)
        write_json(marker, True)
    return str(where)


def _columns(recipe: Recipe) -> tuple[str, ...]:
    """The columns that must stand in the files: all that is read and that no earlier step has written."""
    more: list[str] = []
    written: set[str] = set()
    for step in recipe.steps:
        if isinstance(step, Step):
            more += [name for name in step.reads() if name not in written]
            written.update(step.writes())
    return tuple(dict.fromkeys([*more, *([recipe.id] if recipe.id else []), *(column for _, column in recipe.roles)]))


def _roles(recipe: Recipe) -> dict[Role, list[str]]:
    roles = {Role.TEXT: [recipe.text]}
    for role, column in recipe.roles:
        roles[Role(role)] = [*roles.get(Role(role), []), column]
    return roles
