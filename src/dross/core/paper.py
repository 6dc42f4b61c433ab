"""Where a method was published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A publication: its title, year and arXiv id (or another address).

    >>> Paper("Confident Learning: Estimating Uncertainty in Dataset Labels", 2019, "1911.00068").url
    'https://arxiv.org/abs/1911.00068'
    """

    title: str
    year: int
    arxiv: str | None = None
    address: str | None = None

    @property
    def url(self) -> str | None:
        """Where to read it."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.address
