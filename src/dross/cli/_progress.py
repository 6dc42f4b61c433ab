"""Progress on standard error: one bar for the step under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dross.core.signal import Progress


@contextmanager
def bars() -> Iterator[Progress]:
    """A progress function that draws a bar; it draws nothing where standard error is not a terminal."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from dross.cli._console import err

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("starting", total=None)

        def progress(what: str, done: int, total: int) -> None:
            shown.update(task, description=what, completed=done, total=total)

        yield progress
