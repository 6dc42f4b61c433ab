"""Domain upsampling: the mix, the plan of windows, the order, the worth of domains, bad input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dross.core.dataset import Dataset
from dross.core.errors import DrossError
from dross.core.results import NotApplicable, Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.select.domain_upsampling import DomainUpsampling, evenly, mixed, reads, upsampled_mix, without
from dross.testing import check_method
from dross.testing.planted import sentence


def corpus(general: int = 90, small: int = 10, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    texts = [sentence(rng) for _ in range(general)]
    texts += [" ".join(f"{a}*{b}={a * b};" for a, b in rng.integers(0, 9, (8, 2))) for _ in range(small)]
    texts += [" ".join(np.roll(list("αβγδεζηθικλμ"), rng.integers(12))) for _ in range(small)]
    domains = ["web"] * general + ["sums"] * small + ["greek"] * small
    return Dataset(pa.table({"text": texts, "domain": domains}), {Role.TEXT: ["text"], Role.DOMAIN: ["domain"]})


def chosen(method: DomainUpsampling, data: Dataset) -> Selection:
    found = method.run(data, Signals(data))
    assert isinstance(found, Selection)
    return found


def test_contract() -> None:
    check_method(DomainUpsampling)


@given(st.floats(0.01, 0.99), st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_an_even_division_leaves_no_one_envious(total: float, most: list[float]) -> None:
    """Whoever got less than another could take no more; nothing is left while someone could."""
    caps = np.array(most)
    got = evenly(total, caps)
    assert (got <= caps + 1e-12).all()
    assert got.sum() == pytest.approx(min(total, caps.sum()))
    assert all(got[i] >= caps[i] - 1e-9 for i in range(len(got)) if got[i] < got.max() - 1e-9)


def test_the_mix_adds_up_and_no_text_is_read_too_often() -> None:
    sizes = np.array([5.0, 900.0, 95.0])
    for most in (0.5, 2.0, 8.0, 1000.0):
        mix = upsampled_mix(sizes, 1, 0.5, 0.2, most)
        assert mix.sum() == pytest.approx(1)
        often = reads(sizes, mix, 0.2)
        assert (often[[0, 2]] <= most + 1e-9).all()
        assert (often * sizes).sum() == pytest.approx(0.2 * sizes.sum())  # the last phase is as long as it should be
    assert upsampled_mix(sizes, 1, 0.5, 0.2, 1000.0).tolist() == pytest.approx([0.25, 0.5, 0.25])
    assert without(np.array([0.5, 0.5, 0.0]), 0).tolist() == [0.0, 1.0, 0.0]


def test_a_plan_holds_each_domain_as_often_as_the_mix_says_and_evenly_within() -> None:
    of = np.repeat([0, 1, 2], [50, 7, 3])
    mix = np.array([0.5, 0.3, 0.2])
    plan = mixed(of, mix, 20, 8, 3)
    times = np.bincount(plan.ravel(), minlength=60)
    assert plan.shape == (20, 8)
    for domain, share in enumerate(mix):
        own = times[of == domain]
        assert abs(own.sum() - 160 * share) <= 1
        assert np.ptp(own) <= 1
    assert np.array_equal(plan, mixed(of, mix, 20, 8, 3))
    assert set(mixed(of, np.array([0.0, 1.0, 0.0]), 2, 7, 0).ravel().tolist()) == set(range(50, 57))


def test_the_last_phase_stands_at_the_end_and_holds_the_small_domains() -> None:
    data = corpus()
    found = chosen(DomainUpsampling(measured=0, most_reads=1.0), data)
    start = found.summary["last_phase_from"]
    domains = np.array(data.table.column("domain").to_pylist())[found.rows]
    assert sorted(found.rows.tolist()) == list(range(len(data)))
    assert found.summary["general"] == "web"
    assert (domains[start:] != "web").mean() > 2 * (domains != "web").mean()
    assert found.weights is not None
    assert (found.weights[domains == "sums"] == found.weights[domains == "sums"][0]).all()
    size = np.array([len(t.encode()) for t in data.table.column("text").to_pylist()])[found.rows]
    assert (found.weights * size).sum() == pytest.approx(0.2 * size.sum(), rel=1e-4)


def test_the_order_hangs_on_the_rows_and_not_on_the_file() -> None:
    data = corpus()
    turned = data.take(np.random.default_rng(1).permutation(len(data)))
    ours, theirs = (chosen(DomainUpsampling(measured=0), one) for one in (data, turned))
    assert np.array_equal(data.row_ids[ours.rows], turned.row_ids[theirs.rows])


def test_a_domain_is_missed_most_by_its_own_text() -> None:
    data = corpus(300, 20)
    summary = chosen(DomainUpsampling(steps=100, batch_size=8, context=32), data).summary
    rise = summary["rise_when_left_out"]
    assert set(rise) == {"sums", "greek"}
    assert rise["sums"]["sums"] > max(0.0, rise["sums"]["web"])
    assert rise["greek"]["greek"] > max(0.0, rise["greek"]["web"])
    as_it_is, upsampled = summary["bits_per_byte"]["as it is"], summary["bits_per_byte"]["upsampled"]
    assert all(upsampled[name] < as_it_is[name] for name in ("sums", "greek"))


def test_the_same_seed_measures_the_same() -> None:
    method = DomainUpsampling(steps=10, batch_size=4, context=16)
    assert chosen(method, corpus()).summary == chosen(method, corpus()).summary


def test_validation_rows_judge_and_are_not_chosen() -> None:
    data = corpus(60, 12)
    split = pa.array(
        ["validation" if d == "sums" and i % 2 else "train" for i, d in enumerate(data.table["domain"].to_pylist())]
    )
    data = Dataset(data.table.append_column("split", split), {**data.roles, Role.SPLIT: ["split"]})
    found = chosen(DomainUpsampling(steps=20, batch_size=4, context=16, measured=1), data)
    assert len(found) == len(data) - 6
    assert set(found.summary["bits_per_byte"]["upsampled"]) == {"sums"}


def test_rows_without_a_domain_and_bad_input() -> None:
    data = corpus()
    gaps = pa.array([None if i < 5 else d for i, d in enumerate(data.table["domain"].to_pylist())])
    bare = data.with_column("domain", gaps)
    assert len(chosen(DomainUpsampling(measured=0), bare)) == len(data)
    assert chosen(DomainUpsampling(measured=0, general="sums"), data).summary["general"] == "sums"
    with pytest.raises(DrossError, match="weeb"):
        DomainUpsampling(general="weeb").run(data, Signals(data))
    with pytest.raises(DrossError, match="last_share"):
        DomainUpsampling(last_share=1.0).run(data, Signals(data))
    with pytest.raises(DrossError, match="steps"):
        DomainUpsampling(steps=2).run(data, Signals(data))
    one = data.with_column("domain", pa.array(["web"] * len(data)))
    assert isinstance(DomainUpsampling().run(one, Signals(one)), NotApplicable)
    assert isinstance(DomainUpsampling().run(Dataset(data.table, {Role.TEXT: ["text"]}), Signals(data)), NotApplicable)
