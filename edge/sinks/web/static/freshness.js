// What may be shown of a rate that gets older: freshness.py in the browser's language, with the limits it sends.
// A test holds that both give the same, over random rates and ages.

export function shown(value, state, ageMs, silentMs, limits) {
  const carries = value !== null && limits.value_states.includes(state);
  if (!carries) {
    return { value: null, state: silentMs <= limits.dead_ms ? state : "stale", grey: !(silentMs <= limits.stale_ms) };
  }
  if (!(ageMs >= 0 && silentMs >= 0 && ageMs + silentMs <= limits.dead_ms)) {
    return { value: null, state: "stale", grey: true };
  }
  if (silentMs > limits.stale_ms) return { value, state: "stale", grey: true };
  return { value, state, grey: state === "hold" };
}

// A moment by both clocks of the browser. The monotonic one may stand still while the machine sleeps, the wall clock
// may be set back: the larger difference is the time that passed at least.
export const stamp = () => ({ mono: performance.now(), wall: Date.now() });

export const since = (then, now = stamp()) => Math.max(now.mono - then.mono, now.wall - then.wall, 0);
