import os
import signal
import threading

import pytest

from dltool.training.stop import StopFlag


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_insists(number):
    before = signal.getsignal(number)
    flag = StopFlag()
    with flag.on_signals():
        assert flag.reason is None
        os.kill(os.getpid(), number)
        assert flag.reason == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_deadline_is_a_timeout():
    now = [100.0]
    flag = StopFlag(timeout_s=5.0, clock=lambda: now[0])
    assert flag.reason is None
    now[0] = 104.999
    assert flag.reason is None
    now[0] = 105.0
    assert flag.reason == "timeout"
    flag.interrupt()
    assert flag.reason == "interrupted"


def test_another_thread_installs_no_handlers():
    handlers = []

    def work():
        with StopFlag().on_signals():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]
