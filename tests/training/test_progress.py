from toys import experiment

from dltool.training import loop
from dltool.training.loop import fit
from dltool.training.progress import Silent


class Heard(Silent):
    def __init__(self):
        self.calls = []

    def start(self, total_steps, done_steps=0):
        self.calls.append(("start", total_steps, done_steps))

    def advance(self, step, loss, rate_per_s):
        self.calls.append(("advance", step, loss, rate_per_s))

    def close(self):
        self.calls.append(("close",))


def test_it_is_told_of_the_start_every_tick_and_the_end(monkeypatch):
    monkeypatch.setattr(loop, "TICK_S", 0.0)
    heard = Heard()
    fit(experiment(epochs=2), progress=heard)
    assert heard.calls[0] == ("start", 14, 0)
    assert heard.calls[-1] == ("close",)
    assert heard.calls[-2][1] == 13 or heard.calls[-2][1] == 14
    steps = [call[1] for call in heard.calls[1:-1]]
    assert steps == sorted(steps)
    assert all(call[3] > 0 for call in heard.calls[1:-1])


def test_it_is_closed_after_an_exception():
    heard = Heard()
    toy = experiment()
    toy.model.forward = None
    try:
        fit(toy, progress=heard)
    except Exception:  # noqa: BLE001 - whatever it is
        assert heard.calls[-1] == ("close",)
    else:
        raise AssertionError
