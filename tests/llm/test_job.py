"""Annotation jobs in YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from dross.core.errors import DrossError
from dross.label.llm_annotation import LlmAnnotation
from dross.llm.budget import Limits, Price
from dross.llm.job import read_job
from dross.llm.prompts import Template

JOB = """
servers:
  - url: http://localhost:8000/v1
    model: llama
    key_variable: LLAMA_KEY
    price: {sent: 0.5, answered: 1}
    timeout: 30
  - {url: "https://example.org/v1", model: other}
limits: {cost: 2.5}
task: Is it spam?
classes:
  spam: unwanted advertising
  ham:
templates: [direct, mine.yaml]
samples: 3
"""


def test_a_job_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nversion: 2\nuser: '{{ text }}'\n")
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    method = LlmAnnotation(**read_job(path))
    one, other = method.models.servers
    assert (one.model, one.key_variable, one.price, one.timeout) == ("llama", "LLAMA_KEY", Price(0.5, 1), 30)
    assert other.price == Price()
    assert method.models.limits == Limits(cost=2.5)
    assert method.classes == (("spam", "unwanted advertising"), ("ham", ""))
    assert method.templates == ("direct", Template("mine", 2, "", "{{ text }}"))
    assert (method.samples, method.task) == (3, "Is it spam?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a map"),
        ("task: x", "names servers"),
        ("server: []", "did you mean 'servers'"),
        ("servers: [{url: http://a}]", "lacks its model"),
        ("servers: [{url: http://a, model: m, key: sk-1}]", "a server has no 'key'"),
        ("servers: [{url: http://a, model: m, retries: many}]", "'retries' must be of type int"),
        ("servers: [{url: nowhere, model: m}]", "not the address"),
        ("servers: [{url: http://a, model: m}]\nclasses: [yes, no]", "in quotes"),
        ("servers: [{url: http://a, model: m}]\nclasses: {no: it is not}", "in quotes"),
        ("servers: [{url: http://a, model: m}]\ntemplates: [dirct]", "did you mean 'direct'"),
        ("servers: [{url: http://a, model: m}]\nlimits: {cost: lots}", "'cost' must be of type float"),
        ("servers: [{url: http://a, model: m}]\nsamples: true", "'samples' must be of type int"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_job_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(DrossError, match=said):
        read_job(path)
