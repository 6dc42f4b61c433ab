"""How much memory this process holds for itself."""

from __future__ import annotations

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of memory that this process holds now; where the system does not tell, the most it has held.

    Pages of files that it looks into are left out: the system takes them back when memory is short.

    >>> resident() > 1 << 20
    True
    """
    try:
        held, of_files = map(int, _STATM.read_text(encoding="ascii").split()[1:3])
        return (held - of_files) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
