"""The networks that are compared: a bundle, a checkpoint, the published graph, random weights.

Each is named by a picklable :class:`Choice` and opened once in every process that measures with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.bundle import FORMAT, Bundle, Channel, Graph, GraphEntry, Manifest, Task, load_bundle
from edge.errors import InputError
from edge.runtimes import Runtime
from edge.runtimes.onnxrt import open_runtime

if TYPE_CHECKING:
    from training.model import Mmrphys, ModelSpec

__all__ = ["Choice", "Network", "opened"]

Floats = npt.NDArray[np.float32]
PUBLISHED_FPS, PUBLISHED_FRAMES = 30.0, 181
"""Of the data that the published graphs were trained on (SCAMPS); their length in time is open."""
_NO_GRAPH = Graph(GraphEntry("none", "exact", "onnxrt", "fp32", 0.0), b"", "measured without a bundle")


class Choice(msgspec.Struct, frozen=True):
    """Which network.

    ``bundle`` at a folder (None: the default one), ``checkpoint`` or ``published`` (an ONNX graph) at a file, or
    ``random``: untrained weights of ``seed`` in the geometry of the choice ``like``.
    """

    kind: Literal["bundle", "checkpoint", "published", "random"]
    path: str | None = None
    seed: int = 0
    like: Choice | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What :func:`training.yardstick.tape.replay` needs."""

    bundle: Bundle
    runtime: Runtime


@lru_cache(maxsize=8)
def opened(choice: Choice) -> Network:
    """The network of ``choice``.

    Raises
    ------
    BundleError, InputError
        What it is made of cannot be used.
    """
    if choice.kind == "random":
        assert choice.like is not None
        return _random(opened(choice.like).bundle.manifest, choice.seed)
    if choice.kind == "bundle":
        bundle = load_bundle(None if choice.path is None else Path(choice.path))
        return Network(bundle, open_runtime(bundle, "exact", "auto"))
    assert choice.path is not None
    return (_checkpoint if choice.kind == "checkpoint" else _published)(Path(choice.path))


def _stand_in(manifest: Manifest, identity: str, place: Path) -> Bundle:
    """A bundle without files: the geometry is all that a person asks of it."""
    return Bundle(identity, manifest, {}, place)


def _manifest(
    name: str,
    fps: float,
    frames: int,
    size: int,
    channels: tuple[Channel, ...],
    sources: dict[Task, tuple[Channel, ...]],
    card: dict[str, Any] | None = None,
) -> Manifest:
    return Manifest(
        format=FORMAT, name=name, fps=fps, frames=frames, size=size, channels=channels, tasks=tuple(sources),
        sources=sources, graphs=(), tensorrt="", card=card or {}, files={},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- torch


class _TorchRuntime:
    """A torch model behind the interface of a runtime."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self.name, self.graph = model, name, _NO_GRAPH

    def infer(self, frames: Floats) -> dict[str, Floats]:
        import torch  # noqa: PLC0415 - torch is slow to import

        torch.set_num_threads(1)
        with torch.inference_mode():
            waves = self._model(torch.from_numpy(np.ascontiguousarray(frames)))
        return {task: wave.numpy() for task, wave in waves.items()}

    def close(self) -> None: ...


def _checkpoint(path: Path) -> Network:
    from training.checkpoint import load_card, model_from_checkpoint  # noqa: PLC0415 - torch is slow to import

    card, model = load_card(path), model_from_checkpoint(path)
    return _torch_network(model, card.name, card.fps, card.frames, f"sha256:{card.weights_sha256}", path)


def _random(like: Manifest, seed: int) -> Network:
    """Weights as a training from ``seed`` would start with, in the same model."""
    import torch  # noqa: PLC0415 - torch is slow to import

    from training.model import Mmrphys  # noqa: PLC0415

    torch.manual_seed(seed)
    model = Mmrphys(_spec_from_manifest(like)).eval()
    return _torch_network(model, f"random-{seed}", like.fps, like.frames, f"random:{seed}", Path())


def _spec_from_manifest(manifest: Manifest) -> ModelSpec:
    """The model behind a bundle: what its shape tells, and whatever the card says beyond that."""
    from training.model import ModelSpec  # noqa: PLC0415 - torch is slow to import

    apart = len(manifest.channels) > 1 and all(len(source) == 1 for source in manifest.sources.values())
    shape: dict[str, Any] = {
        "size": manifest.size,
        "fusion": "NF" if apart else "EF",
        "channels": sum(3 if channel == "rgb" else 1 for channel in manifest.channels),
        "tasks": manifest.tasks,
    }
    said = {field.name: manifest.card[field.name] for field in fields(ModelSpec) if field.name in manifest.card}
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (shape | said).items()
    }
    return ModelSpec(**plain)


def _torch_network(model: Mmrphys, name: str, fps: float, frames: int, identity: str, path: Path) -> Network:
    spec = model.spec
    tasks: tuple[Task, ...] = tuple(task for task in ("bvp", "rsp") if task in spec.tasks)
    sources = {task: spec.sources(task) for task in tasks}
    manifest = _manifest(name, fps, frames, spec.size, spec.modalities, sources, spec.as_dict())
    return Network(_stand_in(manifest, identity, path), _TorchRuntime(model, name))


# ------------------------------------------------------------------------------------------------------ published graph


class _PublishedRuntime:
    """One of the authors' graphs: ``input`` ``[1, 3, F, S, S]``, outputs ``rPPG`` and ``rRSP`` ``[1, F - 1]``."""

    NAMES = {"bvp": "rPPG", "rsp": "rRSP"}  # noqa: RUF012 - a table

    def __init__(self, session: onnxruntime.InferenceSession, name: str) -> None:
        self._session, self.name, self.graph = session, name, _NO_GRAPH

    def infer(self, frames: Floats) -> dict[str, Floats]:
        waves = self._session.run(list(self.NAMES.values()), {"input": frames})
        return dict(zip(self.NAMES, waves, strict=True))

    def close(self) -> None: ...


def _published(path: Path) -> Network:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the published ONNX graph") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    unfit = f"{path}: not a published graph ([1, 3, F, S, S] in, rPPG and rRSP out); name one"
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class below Exception
        raise InputError(unfit) from error
    shape = session.get_inputs()[0].shape
    if len(shape) != 5 or shape[1] != 3 or {output.name for output in session.get_outputs()} != {"rPPG", "rRSP"}:
        raise InputError(unfit)
    sources: dict[Task, tuple[Channel, ...]] = {"bvp": ("rgb",), "rsp": ("rgb",)}
    manifest = _manifest(path.stem, PUBLISHED_FPS, PUBLISHED_FRAMES, shape[-1], ("rgb",), sources)
    identity = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Network(_stand_in(manifest, identity, path), _PublishedRuntime(session, path.stem))
