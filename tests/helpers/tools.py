"""Commands and programs of the repository, run by tests."""

import contextlib
import io
import json
import subprocess
import sys

from avslowfast.cli.main import run_command

from . import ROOT
from .runs import ENV


def command(name, *args, code=0):
    """What `avslowfast NAME` prints; it runs in this process, as starting one takes long."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        exit_code = run_command(name, [str(arg) for arg in args])
    assert exit_code == code, out.getvalue() + err.getvalue()
    errors = [line for line in err.getvalue().split("\n") if line.startswith("error")]
    assert len(errors) == (1 if code else 0), err.getvalue()
    return out.getvalue() + err.getvalue()


def evaluate(*args, code=0):
    """What `avslowfast evaluate` gives, as Python objects; its error for another exit code than 0."""
    text = command("evaluate", *args, code=code)
    return text if code else json.loads(text)


def script(name, *args, code=0):
    """What a program prints that runs in its own process."""
    done = subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, args)], env=ENV, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr
