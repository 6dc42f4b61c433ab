from __future__ import annotations

import io
import os
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dross.core.dataset import Dataset
from dross.core.roles import Role
from dross.review.desk import Desk
from dross.review.media import sniffed, stretch
from tests.ledger.made import audited, found, summary
from tests.review.conftest import Browser, signed_in


def tone() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<100h", *range(100)))
    return out.getvalue()


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Browser]:
    """Rows with pictures and sounds: good, broken, missing, and leading to other files."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a private note"
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    good = out.getvalue()
    (tmp_path / "secret.txt").write_text("a private note")
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    secret = str(tmp_path / "secret.txt").encode()
    cells = [good, b"\x89PNG broken", svg, None, b"a private note", secret]
    sounds = [tone(), b"<script>alert(1)</script>", None, b"ID3" + bytes(99), b"OggS", svg]
    table = pa.table(
        {"image": pa.array(cells, pa.binary()), "audio": pa.array(sounds, pa.binary()), "y": list("ababab")}
    )
    data = Dataset(table, {Role.IMAGE: ["image"], Role.AUDIO: ["audio"], Role.LABEL: ["y"]})
    run = summary(data) | {"issues": {"label": {"findings": 6, "flagged": 6}}}
    ledger = audited(tmp_path, data, {})
    ledger.record(run, {"label": found(data, "label", range(6), suggestion=[1, 0] * 3)}, data=data)
    desk = Desk(ledger)
    yield signed_in(desk)
    desk.close()


def test_pictures_are_made_anew(media: Browser) -> None:
    from PIL import Image

    answer = media.api("/pictures/0?size=64")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.body)).size == (43, 64)
    assert b"private" not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert media.api("/pictures/0?size=2048").status == 200
    for row in (1, 2, 3, 4, 5):
        assert media.api(f"/pictures/{row}").status == 404
    for size in (63, 2049, -1, "x"):
        assert media.api(f"/pictures/0?size={size}").status == 422
    assert media.api("/api/items/label/0").json["picture"] is True


def test_sounds_are_given_only_if_they_are_sounds(media: Browser) -> None:
    answer = media.api("/audio/0")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "audio/wav", tone())
    assert [media.api(f"/audio/{row}").status for row in range(6)] == [200, 404, 404, 200, 200, 404]


def test_a_player_seeks(media: Browser) -> None:
    size = len(tone())
    part = media.api("/audio/0", range="bytes=10-19")
    assert (part.status, part.body, part.headers["content-range"]) == (206, tone()[10:20], f"bytes 10-19/{size}")
    assert media.api("/audio/0", range="bytes=-4").body == tone()[-4:]
    assert media.api("/audio/0", range="bytes=0-").body == tone()
    assert media.api("/audio/0", range=f"bytes={size}-").status == 416
    assert media.api("/audio/0", range="bytes=1-2,4-5").status == 200


@pytest.mark.parametrize("asked", ["", "bytes", "bytes=", "bytes=x-y", "items=1-2", "bytes=1", "bytes=²-3"])
def test_ranges_that_mean_nothing_give_the_whole(asked: str) -> None:
    assert asked == "bytes=" or stretch(asked, 10) is None


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"\xff\xfe<html>", b"RIFF1234WEBP", b"%PDF", b"\xff\xd8\xff\xe0", b"\xff\xff\xff\xff"]
)
def test_other_files_are_no_sounds(raw: bytes) -> None:
    assert sniffed(raw) is None


def test_files_named_in_the_data_are_read_only_when_they_end(tmp_path: Path) -> None:
    (tmp_path / "tone.wav").write_bytes(tone())
    (tmp_path / "secret.txt").write_text("a private note")
    os.mkfifo(tmp_path / "pipe.wav")
    names = [str(tmp_path / name) for name in ("tone.wav", "secret.txt", "pipe.wav", "gone.wav")] + [
        "/dev/zero",
        "x" * 9999,
    ]
    data = Dataset(pa.table({"audio": names, "y": list("ababab")}), {Role.AUDIO: ["audio"], Role.LABEL: ["y"]})
    run = summary(data) | {"issues": {"label": {"findings": 6, "flagged": 6}}}
    ledger = audited(tmp_path, data, {})
    ledger.record(run, {"label": found(data, "label", range(6), suggestion=[1, 0] * 3)}, data=data)
    desk = Desk(ledger)
    browser = signed_in(desk)
    assert [browser.api(f"/audio/{row}").status for row in range(6)] == [200, 404, 404, 404, 404, 404]
    desk.close()
