"""The synthetic RGB + thermal scene: one subject whose pulse, breath, motion and light are known at every instant.

A scene is a pure function of time: no threads, files or clock. It is rendered through a *view*, a rectangle of the
scene and a number of pixels, so the same subject is seen by a 640x480 camera and by a 36x36 training crop::

    scene = Scene(SceneParams(hr=72, rr=15, seed=1, tone=3, nuisance=PRESETS["moderate"]))
    t = np.arange(181) / 30.0
    view = scene.face_view(0.0, pixels=36)                     # the face box enlarged by 1.5
    frames = scene.mean_rgb(t, view)                           # float32 [181, 36, 36, 3]
    warm = scene.render_thermal(np.arange(52) / 8.7, view)     # float32 [52, 36, 36], degC
    labels = scene.truth(t)                                    # labels.bvp, labels.rsp: float64 [181]

Scene coordinates: y runs from 0 (top) to 1 (bottom) of the RGB picture; x is 0 in its middle and runs to the right in
the same unit.

The picture is ``light * reflectance * (1 - amplitude * place * bvp)`` by channel: blood absorbs, green most, and it
arrives at the chin a little after the forehead. Sensor noise (shot and read) is added last. The thermal picture adds
the breath at nostrils and mouth, blur of the optics, drift and noise. The same parameters and NumPy version give the
same pixels; a frame depends on its time and view alone, not on the frames rendered with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.cameras.scene_canvas import Extent, Planes
from edge.cameras.scene_face import look_from
from edge.cameras.scene_layers import Part, RgbLayers, RgbState, ThermalLayers, Warmth, texels_for
from edge.cameras.scene_noise import NoisePool, expose
from edge.cameras.scene_nuisance import Light, Motion, Pose, Speech, ThermalDrift
from edge.cameras.scene_params import PRESETS, SceneParams, stream, strengths
from edge.cameras.scene_physiology import Floats, Physiology, Truth
from edge.cameras.scene_screen import Screen, is_screen
from edge.cameras.scene_view import Placement, View, to_scene

__all__ = ["PRESETS", "Scene", "SceneParams", "Truth", "View"]

BOX_X, BOX_Y, BOX_SIDE = 0.0015, -0.01, 1.0
"""The box the default detector finds, in head coordinates: centre and side, the mean over many subjects and sizes."""
ENLARGE = 1.5
PULSE_RATIO = (0.35, 1.0, 0.6)
"""Pulse in R, G, B relative to green: haemoglobin absorbs green most."""
TONE_PULSE = (1.0, 0.97, 0.9, 0.78, 0.62, 0.5)
"""Pulse by tone 1..6: melanin hides it."""
TRANSIT_S = (0.0, 0.05)
"""When the pulse arrives at the forehead and at the chin."""
NOSTRIL_LAG_S = 0.2
"""The skin at the nostrils follows the breath's air late."""


class Scene:
    """One subject and room. Times are scene seconds in 0..``params.seconds``; ``[N]`` float64 in any order."""

    def __init__(self, params: SceneParams) -> None:
        self.params = params
        self.strengths = strengths(params)
        self._body = Physiology(params)
        self._motion = Motion(params, self.strengths)
        self._light = Light(params, self.strengths)
        self._speech = Speech(params, self.strengths)
        self._thermal = ThermalDrift(params, self.strengths)
        self._look = look_from(params, self.strengths["texture"])
        self._screen = Screen(params) if is_screen(params) else None
        spread = stream(params.seed, "channels").uniform(-0.12, 0.12, 3) * (1.0, 0.0, 1.0)
        tone = float(np.interp(params.tone, np.arange(1, 7), TONE_PULSE))
        red, green, blue = (params.amplitude * tone * np.array(PULSE_RATIO) * (1.0 + spread)).tolist()
        self.pulse_share = (red, green, blue)
        """Pulse peak to peak on the forehead, as a share of the brightness there, in R, G, B."""
        self._rgb_layers: dict[float, RgbLayers] = {}
        self._thermal_layers: dict[tuple[float, float], ThermalLayers] = {}
        self._pools: dict[str, NoisePool] = {}

    # ---------------------------------------------------------------------------------------------- truth

    def truth(self, t_s: npt.ArrayLike) -> Truth:
        """BVP, RSP and instantaneous rates at ``t_s`` ``[N]``; a photograph has them too and does not show them."""
        return self._body.truth(self._times(t_s))

    def mean_hr_per_min(self, t_s: float, window_s: float = 10.0) -> float:
        """Mean pulse rate over the last ``window_s`` seconds before ``t_s`` (fewer at the start)."""
        return self._body.mean_hr_per_min(t_s, window_s)

    def mean_rr_per_min(self, t_s: float, window_s: float = 30.0) -> float:
        """Mean breathing rate over the last ``window_s`` seconds before ``t_s`` (fewer at the start)."""
        return self._body.mean_rr_per_min(t_s, window_s)

    def beats_s(self, start_s: float, end_s: float) -> Floats:
        """When pulse waves begin in ``start_s <= t < end_s``, in seconds: what beat intervals are true."""
        return self._body.beats_s(start_s, end_s)

    def visible(self, t_s: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether a face (or its photograph) is wholly in place and not occluded ``[N]``."""
        times, params = self._times(t_s), self.params
        if params.face == "none":
            return np.zeros(times.shape, np.bool_)
        away = _during(times, params.leave_at_s, params.leave_s)
        return np.asarray(~(away | _during(times, params.occlude_at_s, params.occlude_s)))

    def face_box(self, t_s: npt.ArrayLike) -> Floats:
        """The face box as a detector finds it, ``[N, 3]``: left, top, side in scene coordinates."""
        pose = self._head_pose(self._times(t_s))
        x, y = to_scene(pose, self._rest, self.params.face_side, BOX_X, BOX_Y)
        side = self.params.face_side * BOX_SIDE * pose.size
        return np.stack([x - side / 2.0, y - side / 2.0, side], axis=1)

    def face_view(self, t_s: float, pixels: int, sensor_rows: float = 480.0) -> View:
        """The face box at ``t_s`` enlarged by 1.5, as ``pixels`` x ``pixels`` means over a camera's pixels."""
        x, y, side = self.face_box([t_s])[0].tolist()
        margin = 0.5 * (ENLARGE - 1.0) * side
        return View.square(x - margin, y - margin, ENLARGE * side, pixels, sensor_rows)

    def shutter_closed_since(self, t_s: float) -> float | None:
        """When the thermal camera's shutter closed, if it is closed at ``t_s``."""
        return self._thermal.shut_since(t_s)

    # ---------------------------------------------------------------------------------------------- pictures

    def render_rgb(self, t_s: npt.ArrayLike, view: View | Sequence[View]) -> npt.NDArray[np.uint8]:
        """Frames uint8 ``[N, rows, columns, 3]`` (R, G, B), rounded as a camera does. ``view``: one, or one a frame."""
        times, views = self._asked(t_s, view)
        out = np.empty((len(times), views[0].rows, views[0].columns, 3), np.uint8)
        for frame, planes in zip(out, self._rgb_planes(times, views), strict=True):
            cv2.merge([cv2.convertScaleAbs(plane) for plane in planes], frame)
        return out

    def mean_rgb(self, t_s: npt.ArrayLike, view: View | Sequence[View]) -> npt.NDArray[np.float32]:
        """Frames float32 ``[N, rows, columns, 3]``, 0..255: what the mean over a camera's pixels under each pixel is.

        The camera's rounding is in the noise (``View.sensor_pixels``), so nothing is rounded here.
        """
        times, views = self._asked(t_s, view)
        out = np.empty((len(times), views[0].rows, views[0].columns, 3), np.float32)
        for frame, planes in zip(out, self._rgb_planes(times, views), strict=True):
            cv2.merge(list(planes), frame)
        return out

    def render_thermal(self, t_s: npt.ArrayLike, view: View | Sequence[View]) -> npt.NDArray[np.float32]:
        """Frames float32 ``[N, rows, columns]`` in degC. A closed shutter is the camera's business, not the scene's."""
        times, views = self._asked(t_s, view)
        out = np.empty((len(times), views[0].rows, views[0].columns), np.float32)
        offset = self._thermal(times).tolist()
        layers = self._thermal_layers_for(views[0])
        warmths = self._warmths(times)
        parts = self._parts(times, views, layers.extents, is_thermal=True)
        pool = self._pool("thermal", out[0].size)
        noise = self.strengths["netd_degc"] / views[0].sensor_pixels ** 0.5
        for i, places in enumerate(parts):
            layers.compose(views[i], warmths[i], places, out[i])
            out[i] += noise * pool.at(times[i], out[i].shape) + offset[i]
        return out

    def _rgb_planes(self, times: Floats, views: list[View]) -> Iterator[Planes]:
        """One frame after the other, float32 ``[3, rows, columns]`` in 0..255, in a buffer used again."""
        layers = self._rgb_layers_for(views[0])
        parts = self._parts(times, views, layers.extents)
        lights = self._light.colour(times).astype(np.float32)[:, :, None, None]
        planes = np.empty((3, views[0].rows, views[0].columns), np.float32)
        work = np.empty_like(planes[0])
        pool = self._pool("rgb", planes.size)
        for i, (state, places) in enumerate(zip(self._rgb_states(times), parts, strict=True)):
            layers.compose(views[i], state, places, planes)
            if self._screen:
                self._screen.show(views[i], times[i], layers.room.seen(views[i]) * lights[i], planes)
            for plane, grain in zip(planes, pool.at(times[i], planes.shape), strict=True):
                expose(plane, grain, self.strengths["noise"], views[i].sensor_pixels, work)
            yield planes

    # ---------------------------------------------------------------------------------------------- parts

    @property
    def _rest(self) -> tuple[float, float]:
        return self.params.face_x, self.params.face_y

    def _times(self, t_s: npt.ArrayLike) -> Floats:
        times = np.atleast_1d(np.asarray(t_s, np.float64))
        if not ((times >= -1.0) & (times <= self.params.seconds + 1.0)).all():
            raise ValueError(f"the scene lasts 0..{self.params.seconds} s; asked for {times.min()}..{times.max()} s")
        return times

    def _asked(self, t_s: npt.ArrayLike, view: View | Sequence[View]) -> tuple[Floats, list[View]]:
        times = self._times(t_s)
        views = [view] * len(times) if isinstance(view, View) else list(view)
        sizes = {(v.columns, v.rows) for v in views}
        if len(views) != len(times) or len(sizes) != 1:
            raise ValueError(f"{len(times)} frames want as many views of one size; seen {len(views)} of {sizes}")
        return times, views

    def _rsp(self, times: Floats) -> Floats:
        return self._body.rsp(times) if self._lives else np.zeros_like(times)

    @property
    def _lives(self) -> bool:
        """The RGB picture shows pulse and breath."""
        return self.params.face in {"live", "video"}

    @property
    def _names(self) -> tuple[str, ...]:
        """The parts of the RGB picture, from back to front."""
        return ("board",) if self.params.face == "none" else ("torso", "head", "board")

    @property
    def _warm_names(self) -> tuple[str, ...]:
        """Those of the thermal picture."""
        return ("screen", "board") if self._screen and self.params.heat == "own" else self._names

    def _warmths(self, times: Floats) -> list[Warmth]:
        params, is_dummy = self.params, self.params.heat == "dummy"
        breath = -params.breath_degc * self._rsp(times - NOSTRIL_LAG_S)
        body = is_dummy * params.dummy_swing_degc * np.sin(2.0 * np.pi * times / params.dummy_cycle_s)
        draught = params.fan_degc * np.sin(2.0 * np.pi * params.fan_hz * times)
        return [Warmth(*row) for row in np.column_stack([breath, body, draught]).tolist()]

    def _head_pose(self, times: Floats) -> Pose:
        return self._motion.head(times, self._rsp(times))

    def _parts(
        self, times: Floats, views: list[View], extents: Mapping[str, Extent], *, is_thermal: bool = False
    ) -> Iterator[list[Part]]:
        """For each frame the parts to lay, from back to front; a dummy's warmth does not rise with anyone's breath."""
        params, names = self.params, self._warm_names if is_thermal else self._names
        rsp = self._rsp(times) * (not is_thermal or params.heat == "own")
        still = np.zeros_like(times)
        fixed = Pose(still, still, still, still + 1.0)
        poses = {
            "torso": self._motion.torso(times, rsp),
            "head": self._motion.head(times, rsp),
            "board": fixed,
            "screen": fixed,
        }
        places = {name: Placement(extents[name], poses[name], self._rest, params.face_side, views) for name in names}
        hidden = _during(times, params.occlude_at_s, params.occlude_s)
        for i in range(len(times)):
            shown = names if hidden[i] else tuple(name for name in names if name != "board")
            yield [(name, places[name].maps[i], places[name].boxes[i]) for name in shown]

    def _rgb_states(self, times: Floats) -> Iterator[RgbState]:
        live = float(self._lives)
        room = self._screen is None  # a screen's picture was taken elsewhere: only the camera changes its light
        light = (self._light.colour if room else self._light.camera)(times).tolist()
        side = (room * self._light.side(times)).tolist()
        early, late = ((live * self._body.bvp(times - delay)).tolist() for delay in TRANSIT_S)
        lids, lips = ((live * amount).tolist() for amount in (self._speech.lids(times), self._speech.lips(times)))
        for i, (red, green, blue) in enumerate(light):
            yield RgbState((red, green, blue), side[i], (early[i], late[i]), {"lids": lids[i], "lips": lips[i]})

    def _rgb_layers_for(self, view: View) -> RgbLayers:
        per_side = view.density * self.params.face_side
        key = texels_for(per_side)[0]
        if key not in self._rgb_layers:
            self._rgb_layers[key] = RgbLayers(self._look, per_side, self.pulse_share)
        return self._rgb_layers[key]

    def _thermal_layers_for(self, view: View) -> ThermalLayers:
        per_side = view.density * self.params.face_side
        key = texels_for(per_side)[0], round(4.0 * float(np.log2(view.sensor_pixels)))
        if key not in self._thermal_layers:
            self._thermal_layers[key] = ThermalLayers(self._look, self.params, per_side, view.sensor_pixels)
        return self._thermal_layers[key]

    def _pool(self, name: str, size: int) -> NoisePool:
        if name not in self._pools or self._pools[name].size < size:
            self._pools[name] = NoisePool(self.params.seed, name, size)
        return self._pools[name]


def _during(times: Floats, start_s: float, length_s: float) -> npt.NDArray[np.bool_]:
    return np.asarray((times >= start_s) & (times < start_s + length_s))
