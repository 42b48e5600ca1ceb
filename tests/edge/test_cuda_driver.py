"""The C interface, against a small library of the driver's own signatures that is compiled here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.cuda_driver import Driver, Gpu, open_driver
from edge.errors import FaultError

SOURCE = r"""
#include <stddef.h>
#include <stdio.h>
#include <string.h>
typedef int CUresult; typedef int CUdevice; typedef struct s *CUstream; typedef struct g *CUgraph;
typedef struct e *CUgraphExec;
static int launches, ended;
static char failing[64];
void fail_in(const char *name) { strncpy(failing, name, 63); }
int launched(void) { return launches; }
int captures_ended(void) { return ended; }
#define MAYBE(name) if (!strcmp(failing, name)) return 901
CUresult cuInit(unsigned int flags) { MAYBE("cuInit"); return flags == 0 ? 0 : 1; }
CUresult cuDriverGetVersion(int *version) { *version = 12060; return 0; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { MAYBE("cuDeviceGet"); *device = 7 + ordinal; return 0; }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    return device == 7 ? snprintf(name, length, "Orin") < 0 : 101; }
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1; return device == 7 ? 0 : 101; }
CUresult cuGetErrorName(CUresult error, const char **text) {
    *text = error == 901 ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" : NULL; return 0; }
CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    return stream == (CUstream)0x1234567890 && mode == 1 ? 0 : 1; }
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    ended++; MAYBE("cuStreamEndCapture"); *graph = (CUgraph)0x7777777777; return stream ? 0 : 1; }
CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
    *exec = (CUgraphExec)0x8888888888; return graph == (CUgraph)0x7777777777 && flags == 0 ? 0 : 1; }
CUresult cuGraphDestroy(CUgraph graph) { return graph == (CUgraph)0x7777777777 ? 0 : 1; }
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    launches++; return exec == (CUgraphExec)0x8888888888 && stream == (CUstream)0x1234567890 ? 0 : 1; }
"""
STREAM = 0x1234567890


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here: the driver's interface is not checked")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "libcuda.so.1", "driver.c"], cwd=folder, check=True)
    return folder / "libcuda.so.1"


@pytest.fixture
def library(compiled: Path, tmp_path: Path) -> ctypes.CDLL:
    """A copy of its own for each test: a library keeps its state."""
    return ctypes.CDLL(shutil.copy(compiled, tmp_path / "libcuda.so.1"))


def test_it_names_the_gpu(library: ctypes.CDLL) -> None:
    driver = Driver(library)
    assert driver.gpu() == Gpu("Orin", "8.7")
    assert driver.version() == "12.6"


def test_a_capture_is_launched_as_often_as_it_is_called(library: ctypes.CDLL) -> None:
    done: list[int] = []
    launch = Driver(library).capture(STREAM, lambda: done.append(1))
    assert (done, library.launched()) == ([1], 0)
    launch()
    launch()
    assert (done, library.launched()) == ([1], 2)


def test_a_capture_ends_when_its_work_fails(library: ctypes.CDLL) -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Driver(library).capture(STREAM, work)
    assert library.captures_ended() == 1


def test_errors_have_the_drivers_name(library: ctypes.CDLL) -> None:
    driver = Driver(library)
    library.fail_in(b"cuStreamEndCapture")
    with pytest.raises(FaultError, match=r"cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED \(901\)"):
        driver.capture(STREAM, lambda: None)
    with pytest.raises(FaultError, match=r"cuStreamBeginCapture_v2: unknown error \(1\)"):
        driver.capture(STREAM + 1, lambda: None)


def test_a_driver_that_does_not_start_is_none(library: ctypes.CDLL, compiled: Path, tmp_path: Path) -> None:
    assert open_driver(str(compiled)) is not None
    assert open_driver(str(tmp_path / "nothing.so")) is None
    library.fail_in(b"cuInit")
    assert open_driver(str(tmp_path / "libcuda.so.1")) is None


def test_a_library_without_the_drivers_functions_is_none() -> None:
    assert open_driver("libm.so.6") is None
