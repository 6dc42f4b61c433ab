"""The one error that users see: what is wrong, where, and what to do about it."""

from __future__ import annotations


class DrossError(Exception):
    """A problem with the input, the workspace or the set-up that a person can mend.

    Parameters
    ----------
    what
        What is wrong, one sentence.
    where
        File, row or column it was found in.
    fix
        What to do next.

    Examples
    --------
    >>> print(DrossError("no column 'y'", where="train.csv", fix="choose one of: x, label"))
    no column 'y' (in train.csv). choose one of: x, label
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what + (f" (in {self.where})" if self.where else "")
        return f"{text}. {self.fix}" if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.fix))


class MissingExtra(DrossError):
    """A library that belongs to an optional extra is not installed."""

    @classmethod
    def of(cls, library: str, extra: str) -> MissingExtra:
        """Say which extra brings ``library``.

        >>> print(MissingExtra.of("torch", "torch"))
        this needs the library 'torch'. Install it with: pip install "dross[torch]"
        """
        return cls(f"this needs the library {library!r}", fix=f'Install it with: pip install "dross[{extra}]"')


def _rebuild(cls: type[DrossError], what: str, where: str | None, fix: str | None) -> DrossError:
    return cls(what, where=where, fix=fix)


def nearest(name: str, choices: list[str]) -> str:
    """Suggest the choice that ``name`` may have meant, or list them.

    >>> nearest("lable", ["label", "text"])
    "did you mean 'label'?"
    >>> nearest("zzz", ["label", "text"])
    'choose one of: label, text'
    """
    from difflib import get_close_matches

    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(choices[:20]) + (", …" if len(choices) > 20 else "")
    return f"choose one of: {shown}"
