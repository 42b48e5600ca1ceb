"""The bundles that were installed on this machine: the newest and the one before it, and which of them runs.

A store is a folder with a folder for each of the two, named after the bundle's id, and ``state.json``, which says which
is ``current`` and which ``previous``. Installing writes a third folder, and the one rename of ``state.json`` switches:
a power cut before it leaves the old one running, after it the new one. ``attempts`` counts the starts of the current
bundle that did not get through its self-test: written before one begins, so that one that hangs or kills the process
counts, and removed after one that passed. After three the previous bundle takes its place.

Every bundle here is signed and is verified at each start. ``newest`` remembers the highest version that each name ever
had here, so that an older release, however well signed, does not come back unasked.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec

from edge.bundle import Bundle, bundle_from_files, load_bundle
from edge.bundle_folder import PART, write_folder
from edge.bundle_keys import Trust, trust_from_dir
from edge.engine_build import BuildStoppedError
from edge.errors import BundleError, FaultError, InputError, UsageError
from edge.sealed_files import TEMPORARY, write_file

__all__ = ["ATTEMPTS", "Installed", "Slot", "State", "Store", "bundle_named", "bundle_on_trial", "check_vouched",
           "default_store_dir"]  # fmt: skip

ATTEMPTS = 3
"""Self-tests that a bundle may fail, one after the other, before the one before it runs again."""

Installed = Literal["current", "previous"]

_SYSTEM = Path("/var/lib/mmrphys/bundles")
_STATE, _COUNT, _LOCK = "state.json", "attempts", ".lock"
_FOLDER = re.compile(r"[0-9a-f]{16}")

_INNOCENT = (UsageError, InputError, BuildStoppedError)
"""What can end a start and says nothing about the bundle; a signal besides."""

log = logging.getLogger(__name__)


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One installed bundle; ``folder`` is its name in the store, ``key`` who vouched for it when it came."""

    folder: str
    id: str
    name: str
    version: int
    key: str

    def __str__(self) -> str:
        """As it is spoken of."""
        return f"{self.name!r} version {self.version} ({self.folder})"


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``state.json``."""

    format: Literal[1] = 1
    current: Slot | None = None
    previous: Slot | None = None
    newest: dict[str, int] = {}


def default_store_dir() -> Path:
    """``/var/lib/mmrphys/bundles`` for root or where there is one, else the user's own under ``XDG_DATA_HOME``."""
    if _SYSTEM.is_dir() or os.geteuid() == 0:
        return _SYSTEM
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mmrphys" / "bundles"


def check_vouched(bundle: Bundle) -> None:
    """BundleError when nobody signed it."""
    if bundle.signature == "none":
        raise BundleError(f"{bundle.place}: it is not signed; sign it with 'mmrphys bundle sign', or get one that is")


def bundle_named(named: str | None, keys: str | None = None, store: str | None = None) -> Bundle:
    """The verified bundle that a kit names: None for the package's, ``current``, ``previous``, or a folder.

    ``keys`` and ``store`` are folders (None: the default ones). BundleError when it is refused.
    """
    if named is None:
        return load_bundle(None)
    trust = trust_from_dir(Path(keys) if keys else None)
    if named not in get_args(Installed):
        return load_bundle(Path(named), trust)
    return _store(store).bundle(cast("Installed", named), trust)


def bundle_on_trial(named: str | None, keys: str | None, store: str | None) -> AbstractContextManager[Bundle]:
    """:func:`bundle_named` for a start, which ends with the context: that of the current one counts."""
    if named != "current":
        return nullcontext(bundle_named(named, keys, store))
    return _store(store).trial(trust_from_dir(Path(keys) if keys else None))


def _store(folder: str | None) -> Store:
    return Store(Path(folder) if folder else default_store_dir())


@dataclass(frozen=True, slots=True)
class Store:
    """The installed bundles under ``folder``, which need not be there yet."""

    folder: Path

    def state(self) -> State:
        """What is installed; BundleError when that cannot be told."""
        path = self.folder / _STATE
        try:
            state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: cannot be read ({error}); remove it and install a bundle anew") from error
        if not all(_FOLDER.fullmatch(slot.folder) for slot in (state.current, state.previous) if slot):
            raise BundleError(f"{path}: names a folder outside; remove it and install a bundle anew")
        return state

    def install(self, files: Mapping[str, bytes], place: Path, trust: Trust, *, allow_downgrade: bool = False) -> Slot:
        """Make the bundle of ``files``, which were read from ``place``, the current one.

        Raises
        ------
        BundleError
            No key is trusted, its signature is missing or does not hold, it is damaged, or it is not newer than what
            was here.
        FaultError
            The disk does not take it. What was current stays so, in every case.
        """
        if not trust.usable:
            raise BundleError(f"{trust.place}: no trusted key; put the public key of who signs your bundles there")
        bundle = bundle_from_files(files, place, trust)
        check_vouched(bundle)
        with self._locked():
            state, manifest = self.state(), bundle.manifest
            folder = bundle.id.partition(":")[2][:16]
            slot = Slot(folder, bundle.id, manifest.name, manifest.version, bundle.signature)
            _check_newer(slot, state, place, allow_downgrade=allow_downgrade)
            write_folder(files, self.folder / slot.folder, trust)
            before = state.previous if state.current and state.current.id == slot.id else state.current
            newest = max(slot.version, state.newest.get(slot.name, 0))
            self._switch(State(1, slot, before, state.newest | {slot.name: newest}))
        return slot

    def roll_back(self) -> Slot:
        """Make the previous bundle the current one, for good; BundleError when there is none."""
        with self._locked():
            return self._rolled_back(self.state())

    def attempts(self, slot: Slot) -> int:
        """How many starts of ``slot`` did not get through its self-test since one that did."""
        try:
            folder, _, count = (self.folder / _COUNT).read_text(encoding="ascii").partition(" ")
            return int(count) if folder == slot.folder else 0
        except (OSError, ValueError):
            return 0

    def bundle(self, which: Installed, trust: Trust) -> Bundle:
        """The verified bundle ``which``; BundleError when there is none, it was changed, or is not vouched for."""
        state = self.state()
        return self._load(state.current if which == "current" else state.previous, which, trust)

    @contextmanager
    def trial(self, trust: Trust) -> Iterator[Bundle]:
        """The current bundle, verified; leave when its self-test passed, or by what went wrong.

        What is damaged, faulty or fails in a way nobody thought of counts, and after :data:`ATTEMPTS` times the
        previous bundle is the current one. A wrong option, a camera or a signal says nothing about a bundle. When there
        is none before it, it is tried again and again. BundleError as of :meth:`bundle`.
        """
        slot = self._begin()
        before = self.attempts(slot) if slot else 0
        counts = slot is not None and self._count(slot, before + 1)
        try:
            yield self._load(slot, "current", trust)
        except BaseException as error:
            if slot and counts and (not isinstance(error, Exception) or isinstance(error, _INNOCENT)):
                self._count(slot, before)
            raise
        if slot and counts:
            self._count(slot, 0)

    def _begin(self) -> Slot | None:
        """The bundle whose turn it is."""
        current = self.state().current
        if current is None or self.attempts(current) < ATTEMPTS:
            return current
        with self._locked():  # which another process may have done meanwhile
            state = self.state()
            if state.current is None or state.previous is None or self.attempts(state.current) < ATTEMPTS:
                return state.current
            log.warning("%s failed its self-test %d times; going back to %s", state.current, ATTEMPTS, state.previous)
            return self._rolled_back(state)

    def _rolled_back(self, state: State) -> Slot:
        if state.previous is None:
            raise BundleError(f"{self.folder}: there is no bundle before the current one; install another")
        self._switch(msgspec.structs.replace(state, current=state.previous, previous=None))
        return state.previous

    def _load(self, slot: Slot | None, which: Installed, trust: Trust) -> Bundle:
        if slot is None:
            raise BundleError(f"{self.folder}: no {which} bundle is installed; use 'mmrphys bundle install' first")
        bundle = load_bundle(self.folder / slot.folder, trust)
        if bundle.id != slot.id:
            raise BundleError(f"{bundle.place}: another bundle than the one that was installed; install it again")
        check_vouched(bundle)
        return bundle

    def _count(self, slot: Slot, attempts: int) -> bool:
        """Keep the number of attempts; False, said aloud, where it cannot be kept."""
        path = self.folder / _COUNT
        try:
            if attempts:
                write_file(path, f"{slot.folder} {attempts}".encode("ascii"), 0o644)
            else:
                path.unlink(missing_ok=True)
        except (FaultError, OSError) as error:
            log.warning("%s: failed self-tests cannot be counted, so no bundle goes back by itself (%s)", path, error)
            return False
        return True

    def _switch(self, state: State) -> None:
        """The one moment at which another bundle is current; what neither is, is removed then."""
        write_file(self.folder / _STATE, msgspec.json.format(msgspec.json.encode(state)) + b"\n", 0o644)
        (self.folder / _COUNT).unlink(missing_ok=True)
        kept = {slot.folder for slot in (state.current, state.previous) if slot}
        for path in self.folder.iterdir():
            if path.name.startswith(PART) or (_FOLDER.fullmatch(path.name) and path.name not in kept):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.endswith(TEMPORARY):
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, of all processes."""
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            with (self.folder / _LOCK).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise FaultError(f"{error.filename or self.folder}: {error.strerror}; nothing was changed") from error


def _check_newer(slot: Slot, state: State, place: Path, *, allow_downgrade: bool) -> None:
    if slot.version < 1:
        raise BundleError(f"{place}: it has no version; sign it with --bundle-version N, larger than any before")
    newest = state.newest.get(slot.name, 0)
    again = state.current is not None and state.current.id == slot.id
    if slot.version <= newest and not (again or allow_downgrade):
        raise BundleError(
            f"{place}: version {slot.version} of {slot.name!r}, wanted one newer than {newest}, which was here; "
            "--allow-downgrade installs it all the same"
        )
