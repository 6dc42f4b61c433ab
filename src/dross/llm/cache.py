"""Answers kept on disk, each under what was asked and nothing else, so that they outlive changes of the code."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dross.core.errors import DrossError
from dross.llm.prompt import Answer, Prompt, Token

FORMAT = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID
"""


def request_of(prompt: Prompt, model: str, edition: str = "") -> str:
    """What is asked of which model, as canonical JSON; pictures are named by their hash."""
    asked = {
        "model": model,
        "edition": edition,
        "messages": [[m.role, m.text] for m in prompt.messages],
        "images": [hashlib.sha256(image.encode()).hexdigest() for image in prompt.images],
        "schema": prompt.schema,
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "sample": prompt.sample,
        "logprobs": prompt.logprobs,
    }
    return json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def key_of(request: str) -> str:
    """The name of a request: 64 hexadecimal digits."""
    return hashlib.sha256(request.encode()).hexdigest()


class Cache:
    """A SQLite file of requests and their answers as they came; a crash loses no answer that was kept.

    Several processes may use one file. What is kept is what the server said; reading a label out of it is done anew
    each time.

    Examples
    --------
    >>> from dross.llm.prompt import Message
    >>> cache = Cache(None); request = request_of(Prompt((Message("user", "hi"),)), "m")
    >>> cache.put(request, Answer("hello")); cache.get([key_of(request)])[key_of(request)].text
    'hello'
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path or ":memory:", timeout=60, check_same_thread=False, isolation_level=None)
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error

    def _prepare(self) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            raise DrossError(
                "the kept answers were written by a newer dross", where=str(self.path), fix="upgrade dross"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # answers cost money
        self._db.execute(_TABLE)
        self._db.execute(f"PRAGMA user_version = {FORMAT}")

    def get(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers that are kept, by key."""
        wanted = list(keys)
        found: dict[str, Answer] = {}
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            marks = ",".join("?" * len(some))
            with self._lock:
                try:
                    rows = self._db.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", some).fetchall()
                except sqlite3.Error as error:
                    raise self._broken(error) from error
            for key, text in rows:
                answer = _read(text)
                if answer is not None:
                    found[key] = answer
        return found

    def put(self, request: str, answer: Answer) -> None:
        """Keep an answer; it is on the disk when this returns."""
        with self._lock:
            try:
                self._db.execute(
                    "INSERT OR REPLACE INTO answers (key, request, answer) VALUES (?, ?, ?)",
                    (key_of(request), request, _written(answer)),
                )
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def __len__(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _broken(self, error: Exception) -> DrossError:
        return DrossError(
            f"the file of kept answers cannot be used: {error}",
            where=str(self.path),
            fix="check the disk and the rights; a damaged file can be moved away, its answers are then asked anew",
        )


def _written(answer: Answer) -> str:
    plain: dict[str, Any] = {
        "text": answer.text,
        "tokens": [[t.text, t.logprob, [list(o) for o in t.others]] for t in answer.tokens],
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "finish": answer.finish,
    }
    return json.dumps(plain, separators=(",", ":"))


def _read(text: str) -> Answer | None:
    """An answer as it was kept; None where the text is damaged, so that it is asked anew."""
    try:
        plain = json.loads(text)
        tokens = tuple(Token(t, float(p), tuple((o, float(q)) for o, q in others)) for t, p, others in plain["tokens"])
        return Answer(plain["text"], tokens, plain["tokens_in"], plain["tokens_out"], plain["finish"])
    except (ValueError, KeyError, TypeError):
        return None
