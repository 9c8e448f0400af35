"""Seconds are counted in the terminal's last line while a command says nothing; elsewhere nothing is added."""

import re
import subprocess
import sys

from helpers import ROOT
from helpers.silence import spoken_by

# A line, silence, a bar that stands still, another process that writes, an end.
PROGRAM = """
import sys, time
from avslowfast.utils.alive import counting_seconds, hushed
with counting_seconds():
    print("begin")
    time.sleep(1.5)
    sys.stderr.write("\\r 30%")
    time.sleep(1.5)
    sys.stderr.write("\\r 60%\\n")
    with hushed():
        time.sleep(1.5)
    print("end")
print("after")
"""


def test_a_silent_command_counts_on_a_terminal():
    spoken = spoken_by([sys.executable, "-c", PROGRAM], cwd=ROOT)
    assert spoken.code == 0
    # What counted is erased before the next text, and a bar comes back.
    assert re.fullmatch(
        r"begin\r\n(\r \.\.\. \d s)+\r\x1b\[K\r 30%(\r 30% \.\.\. \d s)+\r\x1b\[K 30%\r 60%\r\nend\r\nafter\r\n",
        spoken.text,
    ), repr(spoken.text)


def test_nothing_is_counted_in_a_file():
    program = PROGRAM.replace("1.5", "0.0").replace("sleep(0.0)", "sleep(1.2)", 1)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert done.stdout == b"begin\nend\nafter\n"
    assert done.stderr == b"\r 30%\r 60%\n"
