// The browser's time and network, in the hands of a test: real time, a monotonic clock that stands still while the
// machine sleeps, a wall clock that can be set, timers on them, and a socket to a device that answers late or not.
(() => {
  const world = { real: 5000, mono: 1000, wall: 1.7e12, timers: [], wires: [], number: 0, born: [] };
  window.world = world;
  performance.now = () => world.mono;
  Date.now = () => world.wall;
  const later = (repeat) => (what, ms = 0) => {
    world.timers.push({ id: ++world.number, at: world.mono + ms, every: repeat ? Math.max(ms, 1) : 0, what });
    return world.number;
  };
  window.setTimeout = later(false);
  window.setInterval = later(true);
  window.requestAnimationFrame = () => 0;
  window.fetch = async () => ({ status: 204 });

  // The device: each of its looks has a value of its own, so that what is on the screen tells how old it is.
  world.look = () => {
    world.born.push(world.real);
    return world.born.length - 1;
  };
  world.snapshot = (echo) => {
    const made = structuredClone(world.template);
    const newest = world.born.length - 1;
    const card = made.cards[0];
    made.echo = echo;
    card.silent_ms = world.real - world.born[newest];
    card.hr = { ...card.hr, state: world.state, age_ms: 200 };
    card.hr.value = 1000 + newest;
    return JSON.stringify(made);
  };

  window.WebSocket = class {
    static OPEN = 1;
    constructor() {
      this.readyState = 0;
      this.bufferedAmount = 0;
      this.echo = 0;
      this.ups = [];
      this.downs = [];
      world.wires.push(this);
      world.socket = this;
    }
    send(text) {
      this.ups.push({ at: world.real + world.delayUp, number: parseInt(text, 10) });
    }
    deviceSends() {
      while (this.ups.length && this.ups[0].at <= world.real) this.echo = this.ups.shift().number;
      if (this.readyState !== 1) return;
      const last = this.downs.at(-1)?.at ?? 0;
      this.downs.push({ at: Math.max(last, world.real + world.delayDown), data: world.snapshot(this.echo) });
    }
    browserHears() {
      while (this.downs.length && this.downs[0].at <= world.real && this.readyState === 1) {
        this.onmessage({ data: this.downs.shift().data });
      }
    }
    cut() {
      this.readyState = 3;
      this.downs = [];
      this.onclose({ code: 1006 });
    }
  };

  // One step of real time. A machine that sleeps hears nothing, and its monotonic clock stands still.
  world.step = async (ms, { asleep = false, looks = true, sends = true, opens = true } = {}) => {
    world.real += ms;
    world.wall += ms;
    if (!asleep) world.mono += ms;
    if (looks) world.look();
    if (sends) world.socket.deviceSends();
    if (asleep) return;
    if (world.wasAsleep) document.dispatchEvent(new Event("resume"));
    if (opens && world.socket.readyState === 0) {
      world.socket.readyState = 1;
      world.socket.onopen();
    }
    world.socket.browserHears();
    for (const timer of [...world.timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > world.mono) continue;
      if (timer.every) timer.at = world.mono + timer.every;
      else world.timers = world.timers.filter((other) => other !== timer);
      timer.what();
    }
    await null;
  };

  // What can be read of HR, and how old that is in truth.
  world.seen = () => {
    const digits = document.querySelector(".hr .digits")?.textContent ?? "---";
    const grey = document.querySelector(".rate.hr")?.classList.contains("grey") ?? true;
    const age = digits === "---" ? null : world.real - world.born[Number(digits) - 1000] + 200;
    return { digits, grey, age };
  };
})();
