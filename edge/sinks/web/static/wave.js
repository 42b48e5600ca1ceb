// One sweeping waveform. A sample is drawn at its own time; where samples are missing the line is broken, never bridged.

const AHEAD = 0.04; // share of the sweep that is empty before the head
const SETTLE = 0.08; // how fast the scale follows, per drawing

// Which runs of samples belong together: pieces of [t_ms, value], cut at nulls, at missing blocks and where the sweep
// begins anew at the left. `from` and `to` are stream times in ms.
export function pieces(blocks, from, to, spanMs) {
  const found = [];
  let run = [];
  let last = -Infinity;
  const cut = () => {
    if (run.length) found.push(run);
    run = [];
  };
  for (const block of blocks) {
    const step = 1000 / block.fs;
    block.samples.forEach((value, i) => {
      const t = block.t0_ms + i * step;
      if (t <= from || t > to) return;
      const far = t - last > 1.5 * step;
      const anew = Math.floor(t / spanMs) !== Math.floor(last / spanMs);
      if (value === null || far || anew) cut();
      if (value !== null) run.push([t, value]);
      last = t;
    });
  }
  cut();
  return found;
}

export class Sweep {
  constructor(canvas, spanMs) {
    this.canvas = canvas;
    this.spanMs = spanMs;
    this.blocks = [];
    this.scale = null;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  fit() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.lineWidth = 2.5 * ratio;
  }

  add(block) {
    const newest = this.blocks.at(-1);
    if (newest && block.t0_ms < newest.t0_ms) this.blocks = []; // the stream began anew
    this.blocks.push(block);
    const end = block.t0_ms + (1000 * block.samples.length) / block.fs;
    this.blocks = this.blocks.filter((held) => held.t0_ms > end - this.spanMs - 5000);
  }

  get endMs() {
    const newest = this.blocks.at(-1);
    return newest ? newest.t0_ms + (1000 * newest.samples.length) / newest.fs : null;
  }

  clear() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    return false;
  }

  // Draw up to the head; gives whether there was anything to draw.
  draw(headMs, colour) {
    this.clear();
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const found = pieces(this.blocks, headMs - this.spanMs * (1 - AHEAD), headMs, this.spanMs);
    if (!found.length) {
      this.scale = null;
      return false;
    }
    const [low, high] = this.scaleTo(found);
    const place = ([t, value]) => [
      ((((t % this.spanMs) + this.spanMs) % this.spanMs) / this.spanMs) * width,
      height * (0.92 - (0.84 * (value - low)) / (high - low)),
    ];
    context.strokeStyle = colour;
    context.lineWidth = this.lineWidth;
    context.lineJoin = "round";
    context.lineCap = "round";
    for (const run of found) {
      context.beginPath();
      run.forEach((sample, i) => context[i ? "lineTo" : "moveTo"](...place(sample)));
      context.stroke();
    }
    return true;
  }

  scaleTo(found) {
    let low = Infinity;
    let high = -Infinity;
    for (const run of found) {
      for (const [, value] of run) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
    const [oldLow, oldHigh] = this.scale ?? [low, high];
    this.scale = [
      Math.min(low, oldLow + SETTLE * (low - oldLow)),
      Math.max(high, oldHigh + SETTLE * (high - oldHigh)),
    ];
    return this.scale;
  }
}
