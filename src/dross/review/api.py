"""The JSON interface under ``/api``, described by ``/openapi.json``; pictures and sounds by row."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from dross.report.text import cut
from dross.review import schemas as s
from dross.review.answers import Heading, Preview
from dross.review.desk import Desk
from dross.review.filters import Filter, State
from dross.review.item import Item
from dross.review.media import Medium, NotHere, picture, sound, stretch, whole_text, write_decisions

TYPES = {"csv": "text/csv", "json": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def router(desk: Desk) -> APIRouter:
    """The interface to one desk."""
    api = APIRouter(responses=s.PROBLEMS)
    _reading(api, desk)
    _figures(api, desk)
    _writing(api, desk)
    _media(api, desk)
    return api


def _reading(api: APIRouter, desk: Desk) -> None:
    @api.get("/api/summary")
    def summary(request: Request) -> s.Summary:
        """What is under review, by whom, and how far it has come."""
        desk.refresh()
        return s.Summary(
            run=desk.run, rows=len(desk.data), person=person(request), needed=desk.needed, issues=desk.headings()
        )

    @api.get("/api/issues")
    def issues() -> list[Heading]:
        """The kinds of issue that have findings."""
        desk.refresh()
        return desk.headings()

    @api.get("/api/queue/{issue}")
    def queue(issue: str, asked: Annotated[s.AskedPage, Query()]) -> s.Listed:
        """The findings that pass a filter, the most valuable first."""
        desk.refresh()
        return listed(desk, known(desk, issue), asked.filter(), asked.start, asked.size)

    @api.get("/api/rows/{issue}")
    def rows_of(issue: str, asked: Annotated[s.Asked, Query()]) -> s.Rowed:
        """The rows of all findings that pass a filter, the most valuable first: what one decision can be about."""
        desk.refresh()
        queue, chosen = desk.queue(known(desk, issue)), asked.filter()
        at = queue.page(chosen, 0, s.MOST_ROWS)
        return s.Rowed(rows=queue.rows[at].tolist(), total=queue.count(chosen))

    @api.get("/api/next/{issue}")
    def next_row(request: Request, issue: str, asked: Annotated[s.AskedNext, Query()]) -> s.Next:
        """The row to look at next."""
        desk.refresh()
        return s.Next(row=desk.next(known(desk, issue), asked.filter(), after=asked.after, author=person(request)))

    @api.get("/api/items/{issue}/{row}")
    def item(issue: str, row: s.Row) -> Item:
        """One finding, all that is shown of it."""
        desk.refresh()
        return desk.item(known(desk, issue), there(desk, row))

    @api.get("/api/texts/{row}/{column:path}")
    def text(row: s.Row, column: str) -> s.WholeText:
        """A whole text, to edit it."""
        name, words = whole_text(desk, there(desk, row), column)
        return s.WholeText(row=row, column=name, text=words)


def _figures(api: APIRouter, desk: Desk) -> None:
    @api.get("/api/agreement/{issue}")
    def agreement(issue: str) -> s.Agreeing:
        """How far people agree about one kind of issue."""
        desk.refresh()
        return s.Agreeing.of(desk.agreement(known(desk, issue)))

    @api.get("/api/sample/{issue}")
    def sample(
        issue: str, size: Annotated[int, Query(ge=1, le=5000)] = 100, seed: Annotated[int, Query(ge=0, lt=2**32)] = 0
    ) -> s.Sampled:
        """A stratified random sample to check by hand, and what the answers so far say."""
        desk.refresh()
        return s.Sampled.of(desk.sample(known(desk, issue), size, seed))

    @api.get("/api/calibration/{issue}")
    def calibration(
        issue: str, size: Annotated[int, Query(ge=1, le=5000)] = 100, seed: Annotated[int, Query(ge=0, lt=2**32)] = 0
    ) -> s.Corrected:
        """What to expect of the findings, corrected by what was decided on a sample."""
        desk.refresh()
        return s.Corrected.of(desk.calibration(known(desk, issue), size, seed))

    @api.get("/api/map")
    def points() -> s.Points | None:
        """A sample of the rows laid out so that like rows are near each other; null where there is no embedding."""
        found = desk.map()
        return None if found is None else s.Points.of(found)

    @api.get("/api/history")
    def history(most: Annotated[int, Query(ge=1, le=1000)] = 200) -> list[s.Step]:
        """The newest changes, one for each batch of edits."""
        return [s.Step(**one) for one in desk.history(most)]

    @api.get(
        "/api/export",
        response_class=Response,
        responses={200: {"content": dict.fromkeys(TYPES.values(), _BINARY), "description": "All that was decided."}},
    )
    def export(format: Literal["csv", "json", "parquet"] = "csv") -> Response:  # noqa: A002 - its name in the address
        """All that was decided, one line for each opinion; JSON is one object a line."""
        desk.refresh()
        name = f"decisions.{'jsonl' if format == 'json' else format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(exported(desk, format), media_type=TYPES[format], headers=headers)


def _writing(api: APIRouter, desk: Desk) -> None:
    def done(one: Any) -> s.Done:
        return s.Done(**asdict(one), counts=desk.heading(one.issue) if one.issue in desk.issues else None)

    def chosen(one: s.What | s.Comment | s.Ask) -> list[int]:
        known(desk, one.issue)
        return [there(desk, row) for row in one.rows]

    @api.post("/api/decisions")
    def decide(request: Request, one: s.Decision) -> s.Done:
        """Decide on findings; when this answers it is in the ledger."""
        rows = chosen(one)
        return done(
            desk.decide(
                one.issue, rows, one.says, one.value,
                field=one.field, comment=one.comment, author=person(request), seen=one.seen,
            )
        )  # fmt: skip

    @api.post("/api/preview")
    def preview(one: s.What) -> Preview:
        """What a decision would do; writes nothing."""
        rows = chosen(one)
        return desk.preview(one.issue, rows, one.says, one.value)

    @api.post("/api/comments")
    def comment(request: Request, one: s.Comment) -> s.Done:
        """Comment on findings; decides nothing."""
        return done(desk.comment(one.issue, chosen(one), one.text, author=person(request)))

    @api.post("/api/asks")
    def ask(request: Request, one: s.Ask) -> s.Done:
        """Ask for several opinions on findings: they are open until as many people have given theirs."""
        return done(desk.ask(one.issue, chosen(one), one.opinions, author=person(request)))

    @api.post("/api/runs/{run}/undo")
    def take_back(request: Request, run: str) -> s.Summary:
        """Take back all that was done on the findings of a run, by its exact inverse."""
        desk.take_back(run, author=person(request))
        return s.Summary(
            run=desk.run, rows=len(desk.data), person=person(request), needed=desk.needed, issues=desk.headings()
        )

    @api.post("/api/undo")
    def undo(request: Request) -> s.Done | None:
        """Take back the person's last step that stands; null when there is none."""
        taken = desk.undo(person(request))
        return None if taken is None else done(taken)

    @api.post("/api/redo")
    def redo(request: Request) -> s.Done | None:
        """Make the step again that was taken back last; null when there is none."""
        made = desk.redo(person(request))
        return None if made is None else done(made)


def _media(api: APIRouter, desk: Desk) -> None:
    images: dict[int | str, dict[str, Any]] = {
        200: {"content": {"image/png": _BINARY, "image/jpeg": _BINARY}, "description": "The picture."}
    }
    kinds = dict.fromkeys(("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg"), _BINARY)
    sounds: dict[int | str, dict[str, Any]] = {
        200: {"content": kinds, "description": "The sound."},
        206: {"content": kinds, "description": "The stretch of it that the header Range asks for."},
        416: {"model": s.Problem, "description": "It has no such stretch."},
    }

    @api.get("/pictures/{row}", response_class=Response, responses={**images})
    def picture_of(row: s.Row, size: Annotated[int, Query(ge=64, le=2048)] = 512) -> Response:
        """The row's picture, made anew from its pixels, at most ``size`` pixels a side."""
        made = picture(desk, there(desk, row), size)
        return Response(made.content, media_type=made.kind)

    @api.get("/audio/{row}", response_class=Response, responses=sounds)
    def sound_of(request: Request, row: s.Row) -> Response:
        """The row's sound."""
        return partly(sound(desk, there(desk, row)), request.headers.get("range"))


# ---- what the endpoints share ---------------------------------------------------------------------------------------


def person(request: Request) -> str:
    """Whose session it is; the guard lets nobody else through."""
    return str(request.state.person)


def known(desk: Desk, issue: str) -> str:
    """The issue, if it has findings."""
    if issue not in desk.issues:
        raise NotHere(f"there are no findings of the kind {cut(issue, 40)!r}", fix="choose another kind of issue")
    return issue


def there(desk: Desk, row: int) -> int:
    """The row, if the audited data has it."""
    if not 0 <= row < len(desk.data):
        raise NotHere(f"there is no row {row}", fix=f"rows are 0 to {len(desk.data) - 1}")
    return row


def listed(desk: Desk, issue: str, chosen: Filter, start: int, size: int) -> s.Listed:
    """A stretch of a queue."""
    queue = desk.queue(issue)
    at = queue.page(chosen, start, size)
    counts = queue.progress(chosen).tolist()
    table = queue.table.select(["id", "score", "flagged", "suggestion"]).take(at)
    lines = [
        s.Line(
            row=(row := int(queue.rows[i])),
            id=cut(str(one["id"]), 200),
            chance=float(queue.chances[i]),
            value=float(queue.value[i]),
            state=State(int(queue.states[i])).name.lower(),
            given=desk.items.evidence.contents.label(row),
            suggestion=None if one["suggestion"] is None else cut(str(one["suggestion"]), 200),
            score=float(one["score"]),
            flagged=bool(one["flagged"]),
        )
        for i, one in zip(at.tolist(), table.to_pylist(), strict=True)
    ]
    names = [state.name.lower() for state in State]
    total = sum(counts) if chosen.wanted is None else counts[chosen.wanted]
    every = s.Counts(**dict(zip(names, counts, strict=True)))
    return s.Listed(issue=issue, start=start, total=total, counts=every, rows=lines)


def exported(desk: Desk, kind: str) -> bytes:
    """All that was decided, as a file of that kind."""
    with tempfile.TemporaryDirectory(prefix="dross-") as folder:
        out = Path(folder) / f"decisions.{kind}"
        write_decisions(desk, kind, out)
        return out.read_bytes()


def partly(medium: Medium, asked: str | None) -> Response:
    """The medium, or the stretch of it that is asked for."""
    size = len(medium.content)
    headers = {"Accept-Ranges": "bytes"}
    try:
        found = stretch(asked, size)
    except ValueError:
        return Response(
            s.Problem(what="there is no such stretch").model_dump_json(),
            416,
            {"Content-Range": f"bytes */{size}"},
            "application/json",
        )
    if found is None:
        return Response(medium.content, 200, headers, medium.kind)
    first, last = found
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(medium.content[first : last + 1], 206, headers, medium.kind)
