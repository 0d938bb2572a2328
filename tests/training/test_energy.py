from __future__ import annotations

from pathlib import Path

import pytest

from tlkit.training import energy


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the processor's name is taken from Linux")
def test_the_processor_is_the_one_that_codecarbon_would_find():
    import cpuinfo
    from codecarbon.core import cpu

    energy._name_processor()
    assert cpu.detect_cpu_model() == cpuinfo.get_cpu_info()["brand_raw"]


def test_a_machine_without_that_file_is_asked_by_codecarbon(tmp_path, monkeypatch):
    from codecarbon.core import cpu

    monkeypatch.setattr(cpu, "detect_cpu_model", "its own")
    energy._name_processor(tmp_path / "none")
    (tmp_path / "arm").write_text("processor : 0\n")
    energy._name_processor(tmp_path / "arm")
    assert cpu.detect_cpu_model == "its own"


def test_energy_is_measured():
    with energy.measure_energy() as used:
        sum(range(1_000_000))
    assert used["energy_kwh"] >= 0
