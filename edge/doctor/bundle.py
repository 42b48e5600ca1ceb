"""The bundle: whole, and who vouches for it."""

from __future__ import annotations

from collections.abc import Iterator

from edge.bundle_store import bundle_named
from edge.doctor import Check, Finding, Subject, explained, ok
from edge.errors import BundleError

__all__ = ["look"]


def look(subject: Subject) -> Iterator[Finding]:
    """Hashes of the kit's bundle, or of the default one."""
    kit = subject.kit
    try:
        bundle = bundle_named(kit.bundle, kit.keys, kit.store)
    except BundleError as error:
        yield explained(error)
        return
    vouched = "its hash is the package's own" if kit.bundle is None else f"signature {bundle.signature}"
    graphs = ", ".join(f"{graph.mode} {graph.precision} ({graph.runtime})" for graph in bundle.manifest.graphs)
    yield ok(f"{bundle.manifest.name} {bundle.id[:19]}, {len(bundle.files)} files whole, {vouched}: {graphs}")


_: Check = look
