"""The commands ``mmrphys bundle keygen|sign|verify|install|list|rollback``. Importing them needs no cryptography."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edge.errors import UsageError

if TYPE_CHECKING:  # commands import their work when called
    from edge.bundle import Bundle
    from edge.bundle_store import Store

__all__ = ["bundle"]

bundle = typer.Typer(help="Bundles: signed, verified, installed beside the one before, and taken back.")

KeysOption = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Trusted keys. Default: /etc/mmrphys/keys, or your own.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Installed bundles. Default: /var/lib/mmrphys/bundles, or your own."),
]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Line 1 of FILE encrypts the private key.")
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or its .tar.zst.")]


@bundle.command()
def keygen(
    key: Annotated[Path, typer.Argument(metavar="KEY.pem", help="The private key to make; KEY.pub comes beside.")],
    *,
    passphrase_file: PassphraseOption = None,
    as_json: JsonSwitch = False,
) -> None:
    """Make a pair of keys: the private one signs and stays with you, the public one goes to the kits."""
    from edge.bundle_keys import make_keys  # noqa: PLC0415

    public, name = make_keys(key, _passphrase(passphrase_file))
    _print(
        {"key": name, "private": str(key), "public": str(public)},
        f"key {name}: keep {key} to yourself, put {public} into /etc/mmrphys/keys of every kit",
        as_json=as_json,
    )


@bundle.command()
def sign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle's folder, as mmrphys export writes it.")],
    *,
    key: Annotated[Path, typer.Option(metavar="KEY.pem", help="The private key.")],
    passphrase_file: PassphraseOption = None,
    bundle_version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The release, larger than any before of this bundle's name.")
    ] = None,
    pack: Annotated[
        Path | None, typer.Option(metavar="FILE.tar.zst", help="Also write the signed bundle as one file.")
    ] = None,
    as_json: JsonSwitch = False,
) -> None:
    """Sign a bundle, in its folder. A version that is given goes into its manifest."""
    from edge.bundle import MANIFEST  # noqa: PLC0415
    from edge.bundle_archive import archive_from_files  # noqa: PLC0415
    from edge.bundle_folder import write_folder  # noqa: PLC0415
    from edge.bundle_keys import private_key, trust_from_key  # noqa: PLC0415
    from edge.bundle_sign import SIGNATURE, signature_line  # noqa: PLC0415
    from edge.sealed_files import write_file  # noqa: PLC0415

    secret = private_key(key, _passphrase(passphrase_file))
    files = _unsigned(folder, bundle_version)
    files[SIGNATURE] = signature_line(files[MANIFEST], secret)
    done = write_folder(files, folder, trust_from_key(secret))
    if pack:
        write_file(pack, archive_from_files(files), 0o644)
    _print(_told(done), _words("signed", done) + f"; packed as {pack}" * bool(pack), as_json=as_json)


@bundle.command()
def verify(
    path: BundleArgument,
    *,
    keys: KeysOption = None,
    unsigned: Annotated[bool, typer.Option("--allow-unsigned", help="Hashes alone, where nobody signed it.")] = False,
    as_json: JsonSwitch = False,
) -> None:
    """Check every byte of a bundle and who vouches for it. Ends with 4 when it is refused."""
    from edge.bundle import bundle_from_files  # noqa: PLC0415
    from edge.bundle_keys import trust_from_dir  # noqa: PLC0415
    from edge.bundle_store import check_vouched  # noqa: PLC0415

    found = bundle_from_files(_files(path), path, trust_from_dir(keys))
    if not unsigned:
        check_vouched(found)
    _print(_told(found), _words("sound", found), as_json=as_json)


@bundle.command()
def install(
    path: BundleArgument,
    *,
    keys: KeysOption = None,
    store: StoreOption = None,
    allow_downgrade: Annotated[
        bool, typer.Option("--allow-downgrade", help="Also a version that is not newer than what was here.")
    ] = False,
    as_json: JsonSwitch = False,
) -> None:
    """Make a signed bundle the one that 'run --bundle current' takes, and keep the one before it."""
    from edge.bundle_keys import trust_from_dir  # noqa: PLC0415

    place = _store(store)
    slot = place.install(_files(path), path, trust_from_dir(keys), allow_downgrade=allow_downgrade)
    _print(msgspec.to_builtins(slot), f"installed {slot}, {slot.key}; it runs with --bundle current", as_json=as_json)


@bundle.command("list")
def list_(*, store: StoreOption = None, as_json: JsonSwitch = False) -> None:
    """Show what is installed, and how many self-tests in a row the current bundle has failed."""
    place = _store(store)
    state = place.state()
    rows = [
        {"use": use, "place": str(place.folder / slot.folder), "failed": place.attempts(slot)}
        | msgspec.to_builtins(slot)
        for use, slot in (("current", state.current), ("previous", state.previous))
        if slot
    ]
    words = "{use}: {name} version {version}, {key}, {failed} failed self-tests, {place}"
    _print(rows, "\n".join(map(words.format_map, rows)) or f"nothing is installed in {place.folder}", as_json=as_json)


@bundle.command()
def rollback(*, store: StoreOption = None, as_json: JsonSwitch = False) -> None:
    """Go back to the bundle before the current one."""
    slot = _store(store).roll_back()
    _print(msgspec.to_builtins(slot), f"current is {slot} again", as_json=as_json)


def _unsigned(folder: Path, version: int | None) -> dict[str, bytes]:
    """The files of a sound bundle without its signature, of release ``version``."""
    from edge.bundle import (  # noqa: PLC0415
        MANIFEST,
        MANIFEST_HASH,
        bundle_from_files,
        manifest_bytes,
        manifest_hash_line,
        read_folder,
    )
    from edge.bundle_keys import Trust  # noqa: PLC0415
    from edge.bundle_sign import SIGNATURE  # noqa: PLC0415

    files = {name: data for name, data in read_folder(folder).items() if name != SIGNATURE}
    manifest = bundle_from_files(files, folder, Trust(folder)).manifest
    if version is None and manifest.version < 1:
        raise UsageError(f"{folder}: it has no version yet; give --bundle-version N, larger than any before")
    if version is not None and version != manifest.version:
        data = manifest_bytes(msgspec.structs.replace(manifest, version=version))
        files |= {MANIFEST: data, MANIFEST_HASH: manifest_hash_line(data)}
    return files


def _files(path: Path) -> dict[str, bytes]:
    from edge.bundle import read_folder  # noqa: PLC0415
    from edge.bundle_archive import read_archive  # noqa: PLC0415

    return read_folder(path) if path.is_dir() else read_archive(path)


def _store(folder: Path | None) -> Store:
    from edge.bundle_store import Store, default_store_dir  # noqa: PLC0415

    return Store(folder or default_store_dir())


def _passphrase(path: Path | None) -> bytes | None:
    from edge.bundle_keys import secret_bytes  # noqa: PLC0415

    if path is None:
        return None
    line = secret_bytes(path).partition(b"\n")[0]
    if not line:
        raise UsageError(f"{path}: its first line is empty; it holds the passphrase")
    return line


def _told(found: Bundle) -> dict[str, Any]:
    about = found.manifest
    return {"name": about.name, "version": about.version, "id": found.id, "signature": found.signature}


def _words(what: str, found: Bundle) -> str:
    return f"{what}: {{name}} version {{version}}, {{id}}, signature: {{signature}}".format_map(_told(found))


def _print(told: Mapping[str, Any] | list[dict[str, Any]], words: str, *, as_json: bool) -> None:
    typer.echo(msgspec.json.encode(told) if as_json else words)
