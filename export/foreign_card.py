"""What the card of a foreign network says, as TOML.

    name = "physnet"
    layout = "NCTHW"          # any order of N clips, C channels, T frames, H and W pixels; without N it takes one clip
    frames = 128              # T
    fps = 30.0
    size = 72                 # H and W
    channels = ["rgb"]        # in their order: rgb (R, G, B) and thermal
    scale = { rgb = 0.003921569 }  # factors on 0..255 and degC; 1 where not named
    input = "diff_normalized" # raw, diff_normalized or standardized
    output = "derivative"     # signal or derivative
    tasks = { bvp = "rPPG" }  # the graph's output of each waveform

``diff_normalized`` is ``(b - a) / (b + a)`` of every two frames, ``standardized`` the frames less their mean; both
are then divided by the standard deviation of the whole clip (as in rPPG-Toolbox, with each modality by itself).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.bundle import Channel, Task
from edge.errors import InputError
from edge.signals.references import CELLS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ForeignCard", "foreign_card_from_toml"]


class ForeignCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card; the module's docstring says what its fields mean."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
    layout: str
    frames: Annotated[int, Meta(ge=2, le=9999)]
    fps: Annotated[float, Meta(ge=1.0, le=1000.0)]
    size: Annotated[int, Meta(ge=CELLS, le=1024, multiple_of=CELLS)]
    channels: tuple[Channel, ...]
    tasks: Annotated[dict[Task, str], Meta(min_length=1)]
    input: Literal["raw", "diff_normalized", "standardized"]
    output: Literal["signal", "derivative"] = "signal"
    scale: dict[Channel, float] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if sorted(self.layout.replace("N", "", 1)) != sorted("CTHW"):
            raise ValueError(f"layout {self.layout!r}, wanted C, T, H, W and at most one N in any order")
        if self.channels not in (("rgb",), ("thermal",), ("rgb", "thermal")):
            raise ValueError(f"channels {list(self.channels)}, wanted rgb, thermal or both in this order")
        if not all(0.0 < factor < float("inf") for factor in self.scale.values()):
            raise ValueError(f"scale {self.scale}, wanted factors above 0")
        if foreign := sorted(set(self.scale) - set(self.channels)):
            raise ValueError(f"a scale for {foreign[0]}, which is not among the channels {list(self.channels)}")
        if len(set(self.tasks.values())) != len(self.tasks):
            raise ValueError(f"one output for several tasks: {self.tasks}; a waveform is a pulse or a breath")

    @property
    def channel_count(self) -> int:
        """Three for RGB and one for thermal."""
        return sum(self.counts)

    @property
    def counts(self) -> list[int]:
        """Channels of each modality."""
        return [3 if channel == "rgb" else 1 for channel in self.channels]


def foreign_card_from_toml(path: Path) -> ForeignCard:
    """The card in ``path``; InputError in one line when it says something else."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ForeignCard)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the network's card with --card") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"{path}: not the card of a network ({error})") from error
