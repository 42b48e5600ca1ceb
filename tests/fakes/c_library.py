"""The Arduino library, compiled for this machine with every warning an error and the sanitizers on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edge.sinks.frame_c import LIBRARY

HERE = Path(__file__).parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = sorted(LIBRARY.glob("src/*.c"))


def missing_compiler() -> str | None:
    """Why nothing can be compiled here; None when it can."""
    missing = [name for name in ("gcc", "g++") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)}: the C decoder was not compiled or run" if missing else None


def reader(folder: Path) -> Path:
    """``serial_reader``: standard input through the library."""
    program = folder / "serial_reader"
    c99 = ["gcc", "-std=c99", "-Wconversion", "-Wshadow", *WARNINGS, *SANITIZERS, f"-I{LIBRARY / 'src'}"]
    _run([*c99, *map(str, SOURCES), str(HERE / "serial_reader.c"), "-o", str(program)])
    return program


def sketch(folder: Path, name: str) -> Path:
    """An example of the library on the board of ``tests/fakes/arduino``."""
    ino = LIBRARY / "examples" / name / f"{name}.ino"
    board = [
        f"-I{HERE / 'arduino'}",
        "-include",
        "Arduino.h",
        "-x",
        "c++",
        str(ino),
        str(HERE / "arduino" / "board.cpp"),
    ]
    return _cpp(folder / name, board)


def esphome_reader(folder: Path) -> Path:
    """The reader of the ESPHome example, which finds the library in a folder ``src``, where ESPHome copies it."""
    includes = [f"-I{LIBRARY}", f"-I{LIBRARY.parent / 'esphome'}"]
    return _cpp(folder / "esphome", [*includes, str(HERE / "esphome_uart.cpp")])


def output_of(program: Path, data: bytes, *words: str) -> bytes:
    """What it prints; an error when a sanitizer found something."""
    done = subprocess.run([str(program), *words], input=data, capture_output=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def _cpp(program: Path, words: list[str]) -> Path:
    """Compile C++ against the library, once."""
    if program.exists():
        return program
    objects = [program.parent / f"{source.stem}.o" for source in SOURCES]
    for source, target in zip(SOURCES, objects, strict=True):
        if not target.exists():
            _run(["gcc", "-std=c99", *WARNINGS, *SANITIZERS, "-c", str(source), "-o", str(target)])
    cpp = ["g++", "-std=c++11", *WARNINGS, *SANITIZERS, f"-I{LIBRARY / 'src'}"]
    _run([*cpp, *words, "-x", "none", *map(str, objects), "-o", str(program)])
    return program


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
