"""``dross methods``: every method with its paper and its claim."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per method, one a line.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The catalogue page of the documentation.")] = False,
    verb: Annotated[str | None, typer.Option(help="Only the methods of this verb (detect, label, …).")] = None,
) -> None:
    """List every method with its paper and its claim."""
    import json

    from dross.cli._console import out, plain
    from dross.core.errors import DrossError, nearest
    from dross.core.registry import VERBS

    if verb is not None and verb not in VERBS:
        raise DrossError(f"--verb: there is no verb {verb!r}", fix=nearest(verb, list(VERBS)))
    rows = [row for row in _described() if verb in (None, row["verb"])]
    if as_json:
        for row in rows:
            plain(json.dumps(row, ensure_ascii=False))
        return
    if as_markdown:
        plain(_markdown(rows))
        return
    from rich.table import Table

    table = Table(title=f"{len(rows)} methods", title_justify="left")
    for heading in ("method", "verb", "paper", "claim"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        paper = f"{row['paper']['title']} ({row['paper']['year']})" if row["paper"] else "common practice"
        table.add_row(row["id"], row["verb"], paper, row["claim"] or "—")
    out().print(table)


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["# Methods", "", "Made from the code by `dross methods --markdown`.", ""]
    for verb in dict.fromkeys(row["verb"] for row in rows):
        lines += [f"## {verb}", "", "| method | finds | what it does | paper | claim |", "|---|---|---|---|---|"]
        for row in rows:
            if row["verb"] == verb:
                cells = [
                    f"`{row['id']}`",
                    row["finds"] or "",
                    row["about"],
                    _cited(row["paper"]),
                    row["claim"] or "unproven",
                ]
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _cited(paper: dict[str, Any] | None) -> str:
    if paper is None:
        return "common practice"
    title = f"{paper['title']} ({paper['year']})"
    return f"[{title}](https://arxiv.org/abs/{paper['arxiv']})" if paper["arxiv"] else title


def _described() -> list[dict[str, Any]]:
    from dataclasses import asdict

    from dross.claims import claims
    from dross.core.method import Detector
    from dross.core.registry import methods

    says = {claim.method: claim.says for claim in reversed(claims())}
    return [
        {
            "id": name,
            "verb": method.verb(),
            "paper": asdict(method.paper) if method.paper else None,
            "extra": method.extra,
            "finds": str(method.finds) if issubclass(method, Detector) else None,
            "about": (method.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip(),
            "claim": says.get(name),
        }
        for name, method in sorted(methods().items())
    ]
