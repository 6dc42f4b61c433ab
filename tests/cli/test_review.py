from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dross.core.errors import DrossError
from dross.ledger import Ledger
from dross.review import server
from dross.review.desk import Desk
from dross.review.server import Options
from tests.ledger.made import audited, dataset, dross, relabelled, summary

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve rows with a finding on each label."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROSS_PASSWORD", raising=False)
    data = dataset(12)
    run = summary(data) | {"issues": {"label": {"findings": 12, "flagged": 12}}}
    audited(tmp_path, data, {}).record(run, {"label": relabelled(data, range(12))}, data=data)
    return tmp_path / ".dross"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Options]]:
    """What the command would serve: run, needed opinions, options."""
    seen: list[tuple[str, int, Options]] = []

    def serve(desk: Desk, options: Options, say: object) -> None:
        seen.append((desk.run, desk.needed, options))

    monkeypatch.setattr(server, "serve", serve)
    return seen


def test_the_defaults_are_safe(workspace: Path, served: list[tuple[str, int, Options]]) -> None:
    assert dross("review") == 0
    assert served == [("r2", 1, Options("127.0.0.1", 0, None, None, None, browser=True))]


def test_options_arrive(workspace: Path, served: list[tuple[str, int, Options]]) -> None:
    words = f"review --workspace {workspace} --run r2 --opinions 3 --author Ada --port 8123 --host ::1 --no-browser"
    assert dross(*words.split()) == 0
    assert served == [("r2", 3, Options("::1", 8123, "Ada", None, None, browser=False))]


def test_the_password_comes_from_the_environment_or_is_typed(
    workspace: Path, served: list[tuple[str, int, Options]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROSS_PASSWORD", "from the environment")
    assert dross("review") == 0
    assert dross("review", "--password", "from the option") == 0
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed by hand")
    assert dross("review", "--password", "-") == 0
    assert [options.password for _, _, options in served] == [
        "from the environment", "from the option", "typed by hand",
    ]  # fmt: skip
    assert not any("typed" in argument for argument in sys.argv)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--host", EVERYWHERE], "add --password and --tls-cert and --tls-key"),
        (["--host", "10.1.2.3", "--password", "long enough"], "add --tls-cert and --tls-key"),
        (["--host", "review.example"], "other machines can reach review.example"),
        (["--password", "short"], "5 characters"),
        (["--password", "long enough", "--author", "ada"], "leave out --author"),
        (["--author", " "], "the name is empty"),
        (["--author", "a\x1b[31m"], "cannot be used"),
        (["--tls-cert", "cert.pem"], "give both"),
        (["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "no such file (in cert.pem)"),
        (["--run", "r9"], "there is no run 'r9'"),
        (["--workspace", "nowhere"], "no audit is recorded here"),
        (["--export", "out.exe"], "use .csv, .jsonl or .parquet"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(
    workspace: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dross("review", "--no-browser", *words) == 2
    problem = capsys.readouterr().err
    assert problem.startswith("dross: ")
    assert says in problem
    assert problem.count("\n") == 1


def test_a_file_that_is_no_certificate(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    assert dross("review", "--no-browser", "--tls-cert", "cert.pem", "--tls-key", "key.pem") == 2
    assert "TLS cannot use this" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fastapi" else object())
    assert dross("review") == 2
    assert 'pip install "dross[review]"' in capsys.readouterr().err


def test_a_port_in_use(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert dross("review", "--no-browser", "--port", str(taken.getsockname()[1])) == 2
    assert "nothing can listen" in capsys.readouterr().err


# ---- export ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def decided(workspace: Path) -> Path:
    desk = Desk.open(workspace)
    desk.decide("label", [3, 4], "drop", comment="=1+1", author="ada")
    desk.decide("label", [5], "relabel", "bee", author="bob")
    desk.close()
    return workspace


def test_exports(decided: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        assert dross("review", "--export", name) == 0
        assert f"3 opinions written to {name}" in capsys.readouterr().err
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(one["row"], one["author"], one["says"], one["value"]) for one in rows] == [
        (3, "ada", "drop", None), (4, "ada", "drop", None), (5, "bob", "relabel", "bee"),
    ]  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["comment"] for line in lines] == ["=1+1", "=1+1", ""]
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [cell["comment"] for cell in cells] == ["'=1+1", "'=1+1", ""]
    assert [cell["row"] for cell in cells] == ["3", "4", "5"]


def test_an_export_replaces_only_its_own(decided: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dross("review", "--export", "out.csv") == 0
    assert dross("review", "--export", "out.csv") == 0
    (tmp_path / "mine.csv").write_text("mine")
    assert dross("review", "--export", "mine.csv") == 2
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_nothing_decided_is_an_empty_table(workspace: Path, tmp_path: Path) -> None:
    assert dross("review", "--export", "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().startswith("row,id,issue,author,says")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1
    assert list(Ledger.open(workspace).log()) == []


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(DrossError, match="no address"):
        server._listen(host, 0)
