"""Scripts: the faults that are asked for, on the calls that are meant, the same every time."""

from __future__ import annotations

import pytest

from connectors.sandbox.faults import CallKind, Fault, FaultInjector, FaultKind, FaultScript
from gaelp_rl.config.loading import load_config
from gaelp_rl.errors import ConfigError


def strike(injector, platform="google", call=CallKind.WRITE, times=1000):
    return [fault.kind if (fault := injector.decide(platform, call)) else None for _ in range(times)]


def test_script__is_read_from_toml(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('seed = 3\n[[faults]]\nkind = "timeout_after"\ncalls = "write"\nprobability = 0.1\nstall_s = 2.0\n')
    script = load_config(FaultScript, path)
    assert script.faults[0] == Fault(kind=FaultKind.TIMEOUT_AFTER, calls="write", probability=0.1, stall_s=2.0)


@pytest.mark.parametrize("line", ['kind = "explode"', "probability = 2.0", 'platform = "google"'])
def test_script__that_is_wrong_is_refused_by_key(tmp_path, line):
    path = tmp_path / "faults.toml"
    path.write_text(f'[[faults]]\nkind = "throttle"\n{line}\n' if "kind" not in line else f"[[faults]]\n{line}\n")
    with pytest.raises(ConfigError, match=line.split(" ")[0]):
        load_config(FaultScript, path)


def test_faults__strike_as_often_as_they_say_and_the_same_every_time():
    faults = (Fault(kind=FaultKind.THROTTLE, probability=0.1), Fault(kind=FaultKind.BREAK, probability=0.2))
    runs = [strike(FaultInjector(FaultScript(seed=1, faults=faults))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0] != strike(FaultInjector(FaultScript(seed=2, faults=faults)))
    assert runs[0].count(FaultKind.THROTTLE) == pytest.approx(100, abs=40)
    assert runs[0].count(FaultKind.BREAK) == pytest.approx(200, abs=50)


def test_faults__strike_numbered_calls():
    struck = strike(FaultInjector(FaultScript(faults=(Fault(kind=FaultKind.BREAK, at=(2, 5)),))), times=6)
    assert [n for n, kind in enumerate(struck, start=1) if kind] == [2, 5]


def test_faults__spare_other_platforms_other_calls_and_sign_in():
    fault = Fault(kind=FaultKind.BREAK, platforms=("meta",), calls="write", probability=1.0)
    injector = FaultInjector(FaultScript(faults=(fault,)))
    assert strike(injector, "google", times=3) == [None] * 3
    assert strike(injector, "meta", CallKind.READ, times=3) == [None] * 3
    assert strike(injector, "meta", times=2) == [FaultKind.BREAK] * 2
    everything = FaultInjector(FaultScript(faults=(Fault(kind=FaultKind.BREAK, probability=1.0),)))
    assert strike(everything, "google", CallKind.AUTH, times=3) == [None] * 3


def test_platforms__do_not_disturb_each_others_faults():
    """Platforms run in parallel: what one meets must not depend on how fast another is."""
    script = FaultScript(faults=(Fault(kind=FaultKind.BREAK, probability=0.5),))
    alone = strike(FaultInjector(script), "google", times=20)
    together = FaultInjector(script)
    mixed = []
    for _ in range(20):
        strike(together, "meta", times=3)
        mixed += strike(together, "google", times=1)
    assert mixed == alone
