// The socket that brings snapshots. Each one carries the number of the last question that reached the device before it
// was made, so it is at most as old as that question: this holds over slow networks, stalls and sleep.

import { since, stamp } from "/freshness.js";

const ASK_EVERY_MS = 250;
const SILENT_MS = 2000;
const RETRY_MS = [500, 1000, 2000, 4000];
const FULL = 4008;

export class Link {
  constructor(onSnapshot) {
    this.onSnapshot = onSnapshot;
    this.state = "wait"; // wait, open, closed, full, locked
    this.aim = false;
    this.heard = null; // when the newest snapshot came
    this.tries = 0;
    this.number = 0;
    setInterval(() => this.askIfSilent(), SILENT_MS / 2);
  }

  async start() {
    await bringToken();
    this.connect();
  }

  connect() {
    this.asked = new Map([[0, stamp()]]);
    this.askedAt = null;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.tries = 0;
      this.state = "open";
      this.ask();
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = async (event) => {
      this.state = event.code === FULL ? "full" : "closed";
      if (!opened && (await isLocked())) this.state = "locked";
      const wait = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)];
      setTimeout(() => this.connect(), this.state === "open" ? 0 : wait);
    };
  }

  take(snapshot) {
    const madeAfter = this.asked.get(snapshot.echo);
    if (!madeAfter) return; // of a question this page no longer knows: too old to be shown
    for (const number of this.asked.keys()) if (number < snapshot.echo) this.asked.delete(number);
    this.heard = stamp();
    this.onSnapshot(snapshot, madeAfter);
    if (!this.askedAt || since(this.askedAt) >= ASK_EVERY_MS) this.ask();
    else setTimeout(() => this.ask(), ASK_EVERY_MS);
  }

  ask() {
    if (this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 0) return;
    if (this.asked.size > 100) this.asked.delete(Math.min(...this.asked.keys()));
    this.askedAt = stamp();
    this.number += 1;
    this.asked.set(this.number, this.askedAt);
    this.socket.send(`${this.number}${this.aim ? " aim" : ""}`);
  }

  askIfSilent() {
    if (this.state === "open" && since(this.askedAt ?? { mono: 0, wall: 0 }) >= SILENT_MS) this.ask();
  }

  setAim(wanted) {
    this.aim = wanted;
    if (this.state === "open") this.ask();
  }
}

// The token stands behind # in the link, which no browser sends. It is handed in once, for a cookie, and forgotten.
// It is taken as it stands there: read as a form, a + of base64 would become a blank.
async function bringToken() {
  const token = location.hash.match(/^#token=(.+)$/)?.[1];
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  try {
    await fetch("/session", { method: "POST", body: token });
  } catch { /* no answer: the socket will tell */ }
}

async function isLocked() {
  try {
    return (await fetch("/session")).status === 401;
  } catch {
    return false;
  }
}
