from __future__ import annotations

import logging
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fakes.signed_bundles import GRAPH, Signer, small_files

from edge.bundle import MANIFEST, MANIFEST_HASH, manifest_hash_line
from edge.bundle_keys import REVOKED, Trust
from edge.bundle_sign import SIGNATURE
from edge.bundle_store import ATTEMPTS, Installed, Slot, Store, bundle_named, default_store_dir
from edge.engine_build import BuildStoppedError
from edge.errors import BundleError, FaultError, InputError, UsageError

PLACE = Path("bundle.tar.zst")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "var" / "bundles")


def install(store: Store, signer: Signer, version: int, *, name: str = "small", allow_downgrade: bool = False) -> Slot:
    return store.install(signer.bundle(version, name), PLACE, signer.trust, allow_downgrade=allow_downgrade)


def running(store: Store, signer: Signer) -> int:
    """The version that a sound start runs."""
    with store.trial(signer.trust) as bundle:
        return bundle.manifest.version


def fail(store: Store, signer: Signer, error: BaseException) -> None:
    with pytest.raises(type(error)), store.trial(signer.trust):
        raise error


def in_a_child(work: Callable[[], Any]) -> int:
    """Exit code of a process of its own that does ``work``: 0, or 1 after an error, or what it ends itself with."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_installed_is_current_and_what_was_is_previous(store: Store, signer: Signer) -> None:
    first = install(store, signer, 1)
    assert (store.state().current, store.state().previous) == (first, None)
    second = install(store, signer, 2)
    assert (store.state().current, store.state().previous) == (second, first)
    assert running(store, signer) == 2
    assert store.bundle("previous", signer.trust).manifest.version == 1
    assert second.key == f"ed25519:{signer.id}"


def test_two_are_kept_and_what_killed_installs_left_goes(store: Store, signer: Signer) -> None:
    for version in (1, 2, 3):
        install(store, signer, version)
        (store.folder / ".part-left-behind").mkdir()
    install(store, signer, 4)
    state = store.state()
    assert state.current
    assert state.previous
    assert {path.name for path in store.folder.iterdir()} == {
        "state.json", ".lock", state.current.folder, state.previous.folder,
    }  # fmt: skip


def test_any_user_may_read_what_is_installed(store: Store, signer: Signer) -> None:
    os.umask(os.umask(0o022))
    slot = install(store, signer, 1)
    assert (store.folder / slot.folder).stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in (store.folder / slot.folder).iterdir()} == {0o644}
    assert (store.folder / "state.json").stat().st_mode & 0o777 == 0o644


def test_nothing_is_installed_without_a_trusted_key(store: Store, signer: Signer, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no trusted key; put the public key"):
        store.install(signer.bundle(), PLACE, Trust(tmp_path))
    (signer.keys / REVOKED).write_text(signer.id)
    with pytest.raises(BundleError, match="no trusted key"):
        install(store, signer, 1)
    assert not store.folder.exists()


def test_what_is_unsigned_or_has_no_version_is_not_installed(store: Store, signer: Signer) -> None:
    with pytest.raises(BundleError, match="it is not signed"):
        store.install(small_files(), PLACE, signer.trust)
    with pytest.raises(BundleError, match="it has no version"):
        store.install(signer.bundle(0), PLACE, signer.trust)
    assert store.state().current is None


def test_an_older_version_replayed_is_refused_and_the_newer_one_runs(store: Store, signer: Signer) -> None:
    install(store, signer, 2)
    install(store, signer, 5)
    for version in (1, 2, 4):
        with pytest.raises(BundleError, match=f"version {version} of 'small', wanted one newer than 5"):
            install(store, signer, version)
    assert running(store, signer) == 5
    assert install(store, signer, 4, allow_downgrade=True).version == 4
    assert running(store, signer) == 4
    with pytest.raises(BundleError, match="newer than 5"):  # asked for once is not asked for ever
        install(store, signer, 4 - 1)


def test_another_bundle_of_the_same_version_is_refused(store: Store, signer: Signer) -> None:
    install(store, signer, 3)
    with pytest.raises(BundleError, match="version 3 of 'small', wanted one newer than 3"):
        store.install(signer.signed(small_files(3) | _other_manifest(3)), PLACE, signer.trust)


def _other_manifest(version: int) -> dict[str, bytes]:
    data = small_files(version)[MANIFEST] + b" "
    return {MANIFEST: data, MANIFEST_HASH: manifest_hash_line(data)}


def test_each_name_has_its_own_versions(store: Store, signer: Signer) -> None:
    install(store, signer, 7, name="ward")
    install(store, signer, 1, name="crib")
    assert store.state().newest == {"ward": 7, "crib": 1}
    with pytest.raises(BundleError, match="newer than 7"):
        install(store, signer, 6, name="ward")


def test_installing_the_current_one_again_mends_it(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    slot = install(store, signer, 2)
    (store.folder / slot.folder / GRAPH).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="differs from the manifest"):
        running(store, signer)
    install(store, signer, 2)
    assert running(store, signer) == 2
    assert store.state().previous is not None
    assert store.state().previous.version == 1  # type: ignore[union-attr]


def test_three_failed_self_tests_bring_the_previous_bundle_back(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    install(store, signer, 1)
    slot = install(store, signer, 2)
    for failed in range(1, ATTEMPTS + 1):
        fail(store, signer, FaultError("self-test"))
        assert store.attempts(slot) == failed
    with caplog.at_level(logging.WARNING):
        assert running(store, signer) == 1
    assert "'small' version 2" in caplog.text
    assert "failed its self-test 3 times; going back to 'small' version 1" in caplog.text
    assert running(store, signer) == 1
    with pytest.raises(BundleError, match="newer than 2"):  # nor does it come back by itself
        install(store, signer, 2)
    install(store, signer, 3)
    assert running(store, signer) == 3


def test_a_start_that_passes_forgives_those_before(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    slot = install(store, signer, 2)
    for _ in range(5):
        fail(store, signer, FaultError("self-test"))
        fail(store, signer, ValueError("a case that nobody thought of"))
        assert running(store, signer) == 2
        assert store.attempts(slot) == 0


@pytest.mark.parametrize(
    "error",
    [UsageError("option"), InputError("camera"), BuildStoppedError("stopped"), KeyboardInterrupt(), SystemExit()],
)
def test_what_says_nothing_about_the_bundle_does_not_count(store: Store, signer: Signer, error: BaseException) -> None:
    install(store, signer, 1)
    slot = install(store, signer, 2)
    fail(store, signer, FaultError("self-test"))
    for _ in range(5):
        fail(store, signer, error)
    assert store.attempts(slot) == 1


def test_a_self_test_that_kills_the_process_counts(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    install(store, signer, 2)

    def die() -> None:
        with store.trial(signer.trust):
            os._exit(9)

    assert [in_a_child(die) for _ in range(ATTEMPTS)] == [9] * ATTEMPTS
    assert running(store, signer) == 1


def test_damage_on_the_disk_counts_too(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    slot = install(store, signer, 2)
    (store.folder / slot.folder / GRAPH).write_bytes(b"damaged")
    for _ in range(ATTEMPTS):
        with pytest.raises(BundleError, match="differs from the manifest"):
            running(store, signer)
    assert running(store, signer) == 1


def test_the_last_bundle_is_tried_again_and_again(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    for _ in range(2 * ATTEMPTS):
        fail(store, signer, FaultError("no GPU"))
    assert running(store, signer) == 1


def test_a_new_bundle_starts_with_a_clean_record(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    for _ in range(ATTEMPTS):
        fail(store, signer, FaultError("self-test"))
    slot = install(store, signer, 2)
    assert store.attempts(slot) == 0
    assert running(store, signer) == 2


def test_one_can_go_back_by_hand_once(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    install(store, signer, 2)
    assert store.roll_back().version == 1
    assert running(store, signer) == 1
    with pytest.raises(BundleError, match="no bundle before"):
        store.roll_back()


@pytest.mark.parametrize("which", get_args(Installed))
def test_nothing_installed_is_said(store: Store, signer: Signer, which: Installed) -> None:
    with pytest.raises(BundleError, match=f"no {which} bundle is installed"):
        bundle_named(which, str(signer.keys), str(store.folder))
    with pytest.raises(BundleError, match="no current bundle is installed"), store.trial(signer.trust):
        pass
    assert not store.folder.exists()


def test_looking_at_the_current_bundle_counts_nothing(store: Store, signer: Signer) -> None:
    slot = install(store, signer, 1)
    assert bundle_named("current", str(signer.keys), str(store.folder)).id == slot.id
    assert not (store.folder / "attempts").exists()
    assert bundle_named(None).signature == "none"


def test_what_was_installed_must_stay_signed_and_the_same(store: Store, signer: Signer) -> None:
    old = install(store, signer, 1)
    slot = install(store, signer, 2)
    place = store.folder / slot.folder
    (place / SIGNATURE).rename(store.folder / "aside")
    with pytest.raises(BundleError, match="it is not signed"):
        running(store, signer)
    shutil.rmtree(place)
    shutil.copytree(store.folder / old.folder, place)  # well signed, and older
    with pytest.raises(BundleError, match="another bundle than the one that was installed"):
        running(store, signer)


def test_a_key_revoked_after_the_install_stops_its_bundles(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    (signer.keys / REVOKED).write_text(signer.id)
    with pytest.raises(BundleError, match="revoked key"):
        running(store, signer)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'{"format":2}', b'{"current":{"folder":"../x","id":"","name":"","version":1,"key":""}}'],
)
def test_a_damaged_state_is_one_line(store: Store, signer: Signer, content: bytes) -> None:
    install(store, signer, 1)
    (store.folder / "state.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"state\.json: .*install a bundle anew") as caught:
        running(store, signer)
    assert "\n" not in str(caught.value)


def test_a_power_cut_at_any_moment_of_an_install_leaves_a_bundle_that_runs(store: Store, signer: Signer) -> None:
    """The process ends without a word at its n-th call that changes the disk for good."""
    install(store, signer, 1)
    before, moment, code, switched = 1, 0, 77, []
    while code == 77:
        moment += 1
        code = in_a_child(lambda version=moment + 1: (_cut_power(version - 1), install(store, signer, version)))
        now = running(store, signer)
        assert now in {before, moment + 1}
        switched.append(now == moment + 1)
        before = now
    assert code == 0
    assert len(switched) > 10
    assert switched == sorted(switched)  # the old one up to one moment, the new one from there on
    assert not [path for path in store.folder.iterdir() if path.name.startswith(".part")]


def _cut_power(moment: int) -> None:
    left = [moment]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os._exit(77)
            return real(*given, **named)

        return call

    for name in ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "chmod"):
        setattr(os, name, counted(getattr(os, name)))


def test_a_disk_that_takes_no_more_leaves_what_was(store: Store, signer: Signer) -> None:
    install(store, signer, 1)
    files = signer.bundle(2)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.install(files, PLACE, signer.trust)
        except FaultError as error:
            os._exit(5 if "the bundle is not written" in str(error) else 6)

    assert in_a_child(work) == 5
    assert running(store, signer) == 1
    assert not [path for path in store.folder.iterdir() if path.name.startswith(".part")]


def test_a_store_that_cannot_be_written_still_runs_and_says_what_it_lacks(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    install(store, signer, 1)
    (store.folder / "attempts").mkdir()  # root may write anywhere, but not a file over a folder
    assert running(store, signer) == 1
    assert "failed self-tests cannot be counted" in caplog.text


def test_two_installs_at_once_take_turns(store: Store, signer: Signer) -> None:
    children = []
    for version in (2, 3):
        child = os.fork()
        if child == 0:
            try:
                install(store, signer, version, allow_downgrade=True)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    state = store.state()
    assert {slot.version for slot in (state.current, state.previous) if slot} == {2, 3}
    assert running(store, signer) in {2, 3}


def test_the_default_store_is_the_systems_for_root_and_else_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.bundle_store._SYSTEM", Path("/nowhere/bundles"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_store_dir() == Path("/nowhere/bundles")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/kit/data")
    assert default_store_dir() == Path("/home/kit/data/mmrphys/bundles")
