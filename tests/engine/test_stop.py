"""A request to stop within one process, and what ranks decide together."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from helpers.lists import cfg_for
from helpers.runs import ENV

from avslowfast.engine.stop import StopRequest
from avslowfast.engine.votes import Votes
from avslowfast.loading import build_loader
from avslowfast.utils.errors import StopRequested
from avslowfast.utils.signals import STOP_SIGNALS


@pytest.fixture(autouse=True)
def _handlers():
    """A process that has been stopped ignores further signals, since it ends; this one does not end."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_where_something_can_be_lost(number):
    with StopRequest() as stop:
        with stop.deferred():
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert stop.requested()
        with pytest.raises(StopRequested), stop.deferred():
            pass


def test_handlers_come_back():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with StopRequest():
        pass
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_may_run_a_training_without_catching_signals():
    entered = []

    def work():
        with StopRequest() as stop:
            entered.append(stop.requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [False]


SCRIPT = """
import sys, time
from avslowfast.engine.stop import StopRequest
with StopRequest() as stop, stop.deferred():
    print("ready", flush=True)
    for _ in range(int(sys.argv[1])):
        time.sleep(0.1)
    print("end", flush=True)
"""


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_what_loses_nothing(number):
    code, text = interrupted([0.1], number=number, script=SCRIPT.replace("stop.deferred()", "open('/dev/null')"))
    assert text == f"stopped by {number.name}; the same command resumes from what is saved\n"
    assert code == 75


def interrupted(pauses, tenths=50, number=signal.SIGINT, script=SCRIPT):
    """(exit code, output) of a process that gets a signal after each pause."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tenths)],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    process.stdout.readline()
    for pause in pauses:
        time.sleep(pause)
        process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


def test_a_second_ctrl_c_ends_at_once_without_a_traceback():
    code, text = interrupted([0.1, 1.5])
    assert code == 130
    assert text == "ended at once by a second Ctrl-C; what was saved before stays\n"


def test_signals_within_a_second_are_one():
    code, text = interrupted([0.1, 0.05, 0.3], tenths=15)
    assert text == "end\n"
    assert code == 0


SAVED = """
import time
from avslowfast.engine.stop import StopRequest
with StopRequest() as stop:
    with stop.deferred():
        print("ready", flush=True)
        while not stop.requested():
            time.sleep(0.01)
    time.sleep(1)
    print("end", flush=True)
"""


def test_a_process_that_has_saved_its_state_after_a_signal_ends_by_itself():
    # A parent sends it to all ranks, those included that are about to end.
    assert interrupted([0.1, 0.4], number=signal.SIGTERM, script=SAVED) == (0, "end\n")


def test_torch_is_not_imported_before_signals_are_caught():
    script = "import sys, avslowfast.engine.stop; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=ENV, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_vote_before_each_batch_ends_the_pass(synthav, workers):
    loader = build_loader(cfg_for(synthav, "DATA_LOADER.NUM_WORKERS", workers, "TRAIN.BATCH_SIZE", 4), "train")
    stop = StopRequest()
    got = []
    with pytest.raises(StopRequested, match="before batch 3 of 8"):
        for batch in Votes(stop).batches(loader):
            got.append(batch["index"])
            if len(got) == 2:
                stop.take(signal.SIGTERM)
    assert len(got) == 2
    assert torch.equal(got[0], next(iter(loader))["index"])


def test_an_error_of_the_loader_is_known_as_such(synthav, monkeypatch):
    loader = build_loader(cfg_for(synthav, "DATA_LOADER.NUM_WORKERS", 0), "train")
    monkeypatch.setattr(loader, "collate", lambda samples: [][0])
    votes = Votes(StopRequest())
    with pytest.raises(IndexError) as error:
        next(votes.batches(loader))
    assert votes.failure is error.value
