"""Where PyTorch is not installed, every method that needs it says how to install it, and none breaks otherwise."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
sys.modules["torch"] = None
from dross.core.errors import DrossError
from dross.core.registry import methods
from dross.core.results import NotApplicable
from dross.core.signal import Signals
from dross.testing.check_method import examples

told = 0
for name, method in methods().items():
    for what, data in examples().items() if method.extra == "torch" else ():
        try:
            answer = method().applies(data) or method().run(data, Signals(data))
            assert isinstance(answer, NotApplicable), (name, what, answer)
        except DrossError as error:
            told += 'dross[torch]' in str(error)
print(told)
"""


def test_methods_say_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
