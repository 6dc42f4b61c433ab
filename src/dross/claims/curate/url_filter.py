"""URL filter: blocked sites are found in whatever way they are written, look-alikes stay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dross.claims import Budget, Evidence, claim, interval
from dross.claims.curate._pages import prose
from dross.core.dataset import Dataset
from dross.core.results import Selection
from dross.core.roles import Role
from dross.core.signal import Signals
from dross.curate.url_filter import UrlFilter

BLOCKED = (
    "http://{}/",
    "https://www.{}/a?b=c",
    "//m.{}",
    "HTTP://A.B.{}:8080/x",
    "http://me:secret@{}/",
    "{}/x#y",
    "http://{}./",
)
"""Ways to write an address on a blocked site."""
SOUND = ("http://not{}/", "https://{}.org/", "http://sound.example/{}", "http://sound.example/?from={}", "http://{}@sound.example/",
         "http://sound.example/#{}")  # fmt: skip
"""Addresses that only have its name in them."""


@claim(
    method="url-filter",
    paper="The RefinedWeb Dataset for Falcon LLM",
    says="finds blocked domains with their subdomains and listed words, and not addresses that only look like them",
)
def blocked_sites_are_found_and_look_alikes_stay(budget: Budget) -> Evidence:
    """500 domains and 50 words are listed, made of real words; the baseline looks for their strings anywhere."""
    found, false, by_string = [], [], []
    words = sorted({w.lower() for text in prose() for w in text.split() if w.isascii() and w.isalpha() and len(w) > 3})
    for seed in budget.seeds:
        rng = np.random.default_rng((seed, 47))
        drawn = [words[i] for i in rng.permutation(len(words))[:1050]]
        domains = [f"{a}-{b}.example" for a, b in zip(drawn[:500], drawn[500:1000], strict=True)]
        listed = [f"{word}xq" for word in drawn[1000:]]
        urls = [str(rng.choice(BLOCKED)).format(domain) for domain in domains]
        urls += [f"http://sound.example/a-{word.upper()}_b" for word in listed]
        bad = len(urls)
        urls += [str(rng.choice(SOUND)).format(domain) for domain in domains]
        urls += [f"http://sound.example/a{word}-b" for word in listed]
        data = Dataset(pa.table({"text": [""] * len(urls), "url": urls}), {Role.TEXT: ["text"]})
        kept = UrlFilter(domains=tuple(domains), words=tuple(listed)).run(data, Signals(data))
        assert isinstance(kept, Selection)
        dropped = ~np.isin(np.arange(len(urls)), kept.rows)
        strings = [any(entry in url.lower() for entry in (*domains, *listed)) for url in urls[bad:]]
        found.append(float(dropped[:bad].mean()))
        false.append(float(dropped[bad:].mean()))
        by_string.append(float(np.mean(strings)))
    measured = {
        "blocked addresses dropped": interval(found),
        "look-alikes dropped": interval(false),
        "look-alikes dropped by strings": interval(by_string),
    }
    return Evidence(measured, holds=min(found) == 1.0 and max(false) == 0.0 and min(by_string) > 0.5, over=budget.seeds)
