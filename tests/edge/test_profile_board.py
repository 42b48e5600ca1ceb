from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.profile_board import Board, board, machine, peak_rss_mb, warnings_of

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "var/lib/nvpmodel/status": "pmode:0002 fmode:fanNull\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq": "729600\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1728000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "1020000000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "1020000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
    "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
    "sys/class/devfreq/15340000.vic/cur_freq": "1\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48906\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in1_input": "5000\n",
    "sys/class/hwmon/hwmon1/curr1_input": "1200\n",
    "sys/class/hwmon/hwmon2/name": "nvme\n",
    "sys/class/hwmon/hwmon2/in1_input": "5000\n",
}


def files(root: Path, held: dict[str, str]) -> Path:
    for name, text in held.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def orin(tmp_path: Path) -> Board:
    return board(files(tmp_path, ORIN))


def test_a_board_tells_what_its_files_hold(orin: Board) -> None:
    assert orin.is_jetson
    assert (orin.model[-5:], orin.l4t, orin.power_mode) == ("Super", "36.4.3", "MAXN_SUPER")
    cpu, gpu = orin.clocks
    assert (cpu.name, cpu.now_mhz, cpu.most_mhz, cpu.locked) == ("cpu policy0", 729.6, 1728.0, False)
    assert (gpu.name, gpu.now_mhz, gpu.governor, gpu.locked) == ("gpu 17000000.gpu", 1020.0, "nvhost_podgov", True)
    assert orin.temperatures_degc == {"cpu-thermal": 48.9}
    assert orin.power_w == {"VDD_IN": 6.0}


def test_what_no_file_tells_stays_empty(tmp_path: Path) -> None:
    nothing = board(tmp_path)
    assert nothing == Board("", "", "", [], {}, {})
    assert not nothing.is_jetson


def test_a_mode_without_a_name_is_a_number(tmp_path: Path) -> None:
    assert board(files(tmp_path, ORIN | {"etc/nvpmodel.conf": ""})).power_mode == "mode 2"


def test_free_clocks_an_unknown_mode_and_a_busy_machine_are_warned_of(orin: Board) -> None:
    quiet = msgspec.structs.replace(machine(), load=0.0, cores=6)
    (free,) = warnings_of(orin, quiet)
    assert free.startswith("clocks are not locked (cpu policy0)")
    assert free.endswith("sudo jetson_clocks")
    locked = msgspec.structs.replace(orin, clocks=orin.clocks[1:])
    assert warnings_of(locked, quiet) == []
    mute = msgspec.structs.replace(orin, clocks=[], power_mode="")
    said = " ".join(warnings_of(mute, msgspec.structs.replace(quiet, load=5.0)))
    assert all(part in said for part in ("no clock", "power mode cannot be read", "load 5 on 6 cores"))


def test_this_machine_is_described() -> None:
    here = machine()
    assert here.cpu
    assert here.cores >= 1
    assert peak_rss_mb() > 10.0
