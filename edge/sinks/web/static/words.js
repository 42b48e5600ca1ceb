// States, sources and what is kept, in words. A shape stands beside each word, so that colour never is alone.

export const STATES = {
  ok: ["●", "measuring", "good"],
  low_quality: ["▲", "low quality", "care"],
  hold: ["▲", "last value held", "care"],
  starting: ["○", "starting", "wait"],
  no_face: ["■", "no face", "gone"],
  lost: ["■", "no trustworthy signal", "gone"],
  stale: ["■", "out of date", "gone"],
  thermal_lost: ["■", "thermal camera lost", "gone"],
  camera_lost: ["■", "camera lost", "gone"],
  fault: ["■", "fault", "gone"],
};
// When several apply the first named wins, as in edge/vitals.py.
export const ORDER = [
  "fault", "camera_lost", "thermal_lost", "no_face", "starting", "stale", "lost", "hold", "low_quality", "ok",
];
export const SOURCES = { rgb: "RGB camera", thermal: "thermal camera" };
export const KEPT = {
  nothing: ["○", "nothing is recorded"],
  numbers: ["◐", "numbers are recorded"],
  pictures: ["●", "pictures are recorded"],
};

export const seconds = (ms) => `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;

// Change a text only when it differs: an assistive program then reads it once.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

export function list(element, texts) {
  const seen = [...element.children].map((item) => item.textContent);
  if (seen.length === texts.length && seen.every((text, i) => text === texts[i])) return;
  element.replaceChildren(...texts.map((text) => make("li", "", text)));
}
