"""What stands beside the network that is judged: the published graph and untrained weights, as far as they can."""

from __future__ import annotations

from pathlib import Path

from edge.errors import UsageError
from edge.uri import nearest
from training.yardstick.networks import Choice
from training.yardstick.sources import geometry

__all__ = ["BESIDE", "beside_from_words"]

BESIDE = ("published", "random")
"""All there is, in the order of tables."""
NONE = "none"
RANDOM_SEED = 0


def beside_from_words(
    words: str | None, chosen: Choice, graph: Path | None, found: Path | None
) -> tuple[dict[str, Choice], tuple[str, ...]]:
    """The networks that ``words`` (``published,random``, ``none``; None: all that can) put beside ``chosen``.

    ``graph`` is the published graph that was asked for by its file, ``found`` one that happens to lie there. The second
    result says in one line each what is left out though nobody said so.

    Raises
    ------
    UsageError
        An unknown word; a published graph that was asked for and is absent, left out by ``words``, or of another
        geometry, so that it cannot see the same frames.
    BundleError, InputError
        A network cannot be used.
    """
    names = BESIDE if words is None else _names(words)
    if graph is not None and "published" not in names:
        raise UsageError(f"--published names a graph that --beside {words} leaves out; keep one of them")
    named = graph is not None or words is not None
    networks: dict[str, Choice] = {}
    notes: tuple[str, ...] = ()
    if "published" in names and (unfit := _unfit(chosen, graph or found)):
        if named:
            raise UsageError(f"{unfit}; leave it out with --beside random")
        notes = (f"{unfit}; it is left out",)
    elif "published" in names:
        networks["published"] = Choice("published", str(graph or found))
    if "random" in names:
        networks["random"] = Choice("random", seed=RANDOM_SEED, like=chosen)
    return networks, notes


def _names(words: str) -> tuple[str, ...]:
    names = () if words == NONE else tuple(words.split(","))
    for name in names:
        if name not in BESIDE:
            raise UsageError(f"--beside: there is no {name!r}{nearest(name, (*BESIDE, NONE))}")
    return names


def _unfit(chosen: Choice, graph: Path | None) -> str | None:
    """Why a published graph cannot stand beside ``chosen``; None when it can."""
    if graph is None:
        return "there is no published graph here (--published FILE names one)"
    theirs, ours = geometry(Choice("published", str(graph))), geometry(chosen)
    return None if theirs == ours else f"{graph.name} takes {theirs}, the model {ours}: they cannot see the same frames"
