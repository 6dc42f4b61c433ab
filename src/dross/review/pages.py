"""The pages: what a browser shows of the desk, as HTML made on the server.

Reading works without a script, by links and forms; deciding takes one (static/review.js), which talks to the API.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dross.core.results import Issue
from dross.core.roles import Role
from dross.report.charts import range_bar, share_bar
from dross.report.text import counted, interval, number, percent, visible
from dross.review import overviews, views
from dross.review.filters import Filter, State

if TYPE_CHECKING:
    from dross.review.desk import Desk

TEMPLATES = Path(__file__).parent / "templates"
HISTORY = 200
SAMPLE, LARGEST = 100, 5000
"""Rows of a sample for checking by hand, by default and at most."""


def environment() -> Environment:
    """The templates: everything is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "interval": interval, "number": number, "visible": visible}
    made.filters |= {"says": views.says, "meter": views.meter, "title": views.title_of}
    made.globals |= {"counted": counted, "share_bar": share_bar, "range_bar": range_bar}
    return made


def router(desk: Desk) -> APIRouter:
    """The routes of the HTML pages on one desk."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    pages = Pages(desk)
    for path, page in (
        ("/", pages.overview),
        ("/queue/{issue}", pages.queue),
        ("/start/{issue}", pages.start),
        ("/item/{issue}/{row}", pages.item),
        ("/sample/{issue}", pages.sample),
        ("/agreement", pages.agreement),
        ("/history", pages.history),
        ("/part/figures", pages.figures),
        ("/part/progress/{issue}", pages.progress),
        ("/part/groups/{issue}", pages.groups),
        ("/part/classes", pages.classes),
        ("/part/text/{row}/{index}", pages.text),
    ):
        routes.add_api_route(path, page, methods=["GET"], response_model=None)
    routes.add_api_route("/history/undo", pages.take_back, methods=["POST"], response_model=None)
    return routes


def found_in(rows: npt.NDArray[np.int64], row: int) -> bool:
    """Whether a sorted array of rows has this one."""
    at = int(np.searchsorted(rows, row))
    return at < len(rows) and int(rows[at]) == row


class Pages:
    """The pages of one desk; each method answers one route."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.templates = environment()
        self._figures: dict[str, Any] | None = None

    def render(self, template: str, request: Request, **context: Any) -> HTMLResponse:
        """A page of a template, with what every page shows."""
        shared = {
            "person": visible(str(getattr(request.state, "person", ""))),
            "issues": [(issue, views.title_of(issue), done.open) for issue, done in self._every().items()],
            "run": visible(self.desk.run),
        }
        return HTMLResponse(self.templates.get_template(template).render(**shared, **context))

    def _every(self) -> dict[str, views.Progress]:
        return {issue: views.progress(self.desk, issue, Filter()) for issue in self.desk.issues}

    # ---- overview ---------------------------------------------------------------------------------------------------

    def overview(self, request: Request) -> HTMLResponse:
        """What was found, and how far the decisions have come."""
        self.desk.refresh()
        return self.render("overview.html", request, here="overview", **overviews.overview(self.desk))

    def figures(self, request: Request) -> HTMLResponse:
        """The plots of the overview, drawn once."""
        if self._figures is None:
            self._figures = overviews.figures(self.desk)
        return self.render("figures.html", request, **self._figures)

    def agreement(self, request: Request) -> HTMLResponse:
        """How the people agree who decided on the same findings."""
        self.desk.refresh()
        found = overviews.agreements(self.desk)
        return self.render("agreement.html", request, here="agreement", found=found, needed=self.desk.needed)

    def history(self, request: Request) -> HTMLResponse:
        """Who did what, newest first."""
        steps = overviews.history(self.desk, HISTORY)
        runs = overviews.runs(self.desk)
        return self.render("history.html", request, here="history", steps=steps, most=HISTORY, runs=runs)

    def take_back(self, request: Request, run: Annotated[str, Form(max_length=200)]) -> Response:
        """Take back all that was done on the findings of one run."""
        self.desk.take_back(run, author=request.state.person)
        return RedirectResponse("/history", 303)

    # ---- queues -----------------------------------------------------------------------------------------------------

    def queue(
        self,
        request: Request,
        issue: str,
        rows: Annotated[list[str] | None, Query()] = None,
        start: Annotated[int, Query(ge=0)] = 0,
        view: Annotated[str, Query(max_length=8)] = "",
    ) -> HTMLResponse:
        """The findings of one issue as a list or a grid."""
        seen = self.desk.refresh()
        chosen = views.asked(request.query_params, rows or ())
        page = views.listing(self.desk, issue, chosen, start)
        look = view if view in {"grid", "list"} else "grid" if page.pictures else "list"
        kept = {"view": view} if view in {"grid", "list"} else {}
        done = views.progress(self.desk, issue, chosen)
        return self.render(
            "queue.html",
            request,
            here=issue,
            issue=issue,
            title=views.title_of(issue),
            meaning=Issue(issue).meaning,
            chosen=chosen,
            page=page,
            look=look,
            view=kept.get("view", ""),
            other=views.query_of(chosen, view="list" if look == "grid" else "grid"),
            done=done,
            tabs=views.tabs(done, chosen, **kept),
            chips=views.chips(chosen, **kept),
            choices=views.choices(self.desk, issue, chosen),
            grouped=self.desk.queue(issue).matcher.clusters if self.desk.items.evidence.vectors is not None else (),
            query=views.query_of(chosen),
            before=views.query_of(chosen, start=page.start - views.PAGE or None, **kept) if page.start else None,
            after=views.query_of(chosen, start=page.stop, **kept) if page.stop < page.count else None,
            seen=seen,
            labelled=self._labelled(),
        )

    def progress(self, request: Request, issue: str, rows: Annotated[list[str] | None, Query()] = None) -> HTMLResponse:
        """How far the findings have come that pass a filter."""
        self.desk.refresh()
        chosen = views.asked(request.query_params, rows or ())
        done = views.progress(self.desk, issue, chosen)
        return self.render("progress.html", request, issue=issue, done=done)

    def start(self, request: Request, issue: str, rows: Annotated[list[str] | None, Query()] = None) -> Response:
        """Go to the first finding to decide on, or to the queue where there is none."""
        self.desk.refresh()
        chosen = views.asked(request.query_params, rows or ())
        row = self.desk.next(issue, chosen, author=request.state.person)
        where = f"/queue/{issue}" if row is None else f"/item/{issue}/{row}"
        return RedirectResponse(quote(where) + views.query_of(chosen), 303)

    # ---- one item ---------------------------------------------------------------------------------------------------

    def item(
        self,
        request: Request,
        issue: str,
        row: int,
        rows: Annotated[list[str] | None, Query()] = None,
        sample: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
        seed: Annotated[int, Query(ge=0, lt=2**32)] = 0,
    ) -> HTMLResponse:
        """One finding, all that is known of it."""
        self.desk.refresh()
        chosen = views.asked(request.query_params, rows or ())
        item = self.desk.item(issue, row)
        more = {"sample": sample, "seed": seed} if sample else {}
        following = (
            self._next_of_sample(issue, row, sample, seed)
            if sample
            else self._next(issue, row, chosen, request.state.person)
        )
        query = views.query_of(chosen, **more)
        return self.render(
            "item.html",
            request,
            here=issue,
            issue=issue,
            title=views.title_of(issue),
            item=item,
            card=item.card,
            query=query,
            back=f"/sample/{issue}?size={sample}&seed={seed}" if sample else f"/queue/{issue}{query}",
            following=None if following in {None, row} else f"/item/{issue}/{following}{query}",
            done=views.progress(self.desk, issue, chosen),
            answers=[] if item.card.twin and not item.card.suggested else views.answers(self.desk, item),
            changes=views.changes(self.desk, item),
            labelled=self._labelled(),
            several=self.desk.data.has(Role.LABELS),
        )

    def _labelled(self) -> bool:
        return any(self.desk.data.has(role) for role in (Role.LABEL, Role.LABELS, Role.TARGET))

    def _next(self, issue: str, row: int, chosen: Filter, author: str) -> int | None:
        queue = self.desk.queue(issue)
        return self.desk.next(issue, chosen, after=row if found_in(queue.rows, row) else None, author=author)

    def _next_of_sample(self, issue: str, row: int, size: int, seed: int) -> int | None:
        """The next row of a sample that nobody decided on, in the order of drawing."""
        every = self.desk.sample(issue, size, seed).rows
        at = every.index(row) + 1 if row in every else 0
        state = self.desk.said.state
        return next((one for one in every[at:] + every[:at] if one != row and state(issue, one) == State.OPEN), None)

    def sample(
        self,
        request: Request,
        issue: str,
        size: Annotated[int, Query(ge=1, le=LARGEST)] = SAMPLE,
        seed: Annotated[int, Query(ge=0, lt=2**32)] = 0,
    ) -> HTMLResponse:
        """A random sample to check by hand, and what the answers so far say."""
        self.desk.refresh()
        drawn = self.desk.sample(issue, size, seed)
        states = [self.desk.said.state(issue, row).name.lower() for row in drawn.rows]
        return self.render(
            "sample.html",
            request,
            here=issue,
            issue=issue,
            title=views.title_of(issue),
            lines=list(zip(drawn.rows, drawn.strata, states, strict=True)),
            size=size,
            seed=seed,
            open=next((row for row, state in zip(drawn.rows, states, strict=True) if state == "open"), None),
            drawn=drawn,
            corrected=self.desk.calibration(issue, size, seed),
            measured=[(name, getattr(drawn.measured, name)) for name in ("precision", "recall", "share")],
        )

    # ---- parts ------------------------------------------------------------------------------------------------------

    def classes(self) -> JSONResponse:
        """The labels that a row can be given."""
        for issue in self.desk.issues:
            names = self.desk.queue(issue).matcher.labels
            return JSONResponse({"labels": names, "several": self.desk.data.has(Role.LABELS)})
        return JSONResponse({"labels": [], "several": False})

    def groups(self, request: Request, issue: str) -> HTMLResponse:
        """The groups of similar rows to choose from: computed when a queue is looked at, not before."""
        self.desk.clusters()
        found = [one for one in views.choices(self.desk, issue, Filter()) if one.name == "cluster"]
        return self.render("groups.html", request, choices=found)

    def text(self, request: Request, row: int, index: int, issue: str, shown: bool = False) -> JSONResponse:
        """A whole text: for the editor as this person has edited it last, else as it is; ``shown`` made harmless."""
        found = views.editable(self.desk, row, index)
        if shown:
            return JSONResponse(found | {"text": visible(found["text"])})
        for one in self.desk.item(issue, row).opinions:
            edited = one.says == "set" and one.author == request.state.person and one.field == found["column"]
            if edited and isinstance(one.value, str):
                found["text"] = one.value
        return JSONResponse(found)
