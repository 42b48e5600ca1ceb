// One person in one zone: banner, two waves, two numbers, and why they are not better.

import { shown, since } from "/freshness.js";
import { ORDER, SOURCES, STATES, list, make, say, seconds } from "/words.js";
import { Sweep } from "/wave.js";

const RATES = {
  hr: { label: "HR", long: "pulse", wave: "pleth", waveName: "pulse wave", spanMs: 10000 },
  rr: { label: "RR", long: "breathing", wave: "resp", waveName: "breathing wave", spanMs: 30000 },
};
const LAG_MS = 1200; // blocks come once a second: the head runs so far behind the newest sample
const JUMP_MS = 2500;

export class Card {
  constructor(key) {
    this.element = make("article", "card");
    this.element.dataset.key = key;
    this.title = make("h2");
    this.banner = make("p", "banner");
    const top = make("div", "top");
    top.append(this.title, this.banner);
    this.element.append(top);
    this.rates = Object.fromEntries(Object.entries(RATES).map(([name, rate]) => [name, this.makeRate(name, rate)]));
    this.stream = null; // stream time less the browser's monotonic time
  }

  makeRate(name, rate) {
    const box = make("section", `rate ${name}`);
    const canvas = make("canvas", "wave");
    canvas.setAttribute("role", "img");
    const paper = make("div", "paper");
    const legend = make("p", "legend");
    paper.append(canvas, legend);
    const number = make("div", "number");
    const head = make("h3", "", rate.label);
    head.append(make("span", "", ` ${rate.long}`));
    const value = make("p", "value");
    const digits = make("span", "digits", "---");
    value.append(digits, make("span", "unit", " /min"));
    const state = make("p", "state");
    const facts = make("p", "facts");
    const more = make("span", "more");
    const most = make("span");
    facts.append(most, more);
    const why = make("ul", "why");
    const words = make("div", "words");
    words.append(state, facts);
    number.append(head, value, words);
    box.append(paper, number, why);
    this.element.append(box);
    canvas.setAttribute("aria-label", `${rate.waveName}, the last ${rate.spanMs / 1000} seconds`);
    return { box, legend, digits, state, most, more, why, sweep: new Sweep(canvas, rate.spanMs), rate };
  }

  // `card` of a snapshot that was made after `madeAfter`.
  take(card, madeAfter, severalIn) {
    this.card = card;
    this.madeAfter = madeAfter;
    say(this.title, severalIn ? `${card.zone} · person ${card.person}` : card.zone);
    const stream = card.pts_ms + card.silent_ms - performance.now();
    const off = this.stream === null ? Infinity : Math.abs(stream - this.stream);
    this.stream = off > JUMP_MS ? stream : this.stream + 0.05 * (stream - this.stream);
  }

  addWave(block) {
    for (const held of Object.values(this.rates)) if (held.rate.wave === block.wave) held.sweep.add(block);
  }

  // Show what may be shown now; gives what is shown, for the banner and for speech.
  show(limits) {
    const silentMs = this.card.silent_ms + since(this.madeAfter);
    const now = {};
    for (const [name, held] of Object.entries(this.rates)) {
      const rate = this.card[name];
      const view = shown(rate.value, rate.state, rate.age_ms, silentMs, limits);
      now[name] = view;
      this.showRate(held, rate, view, rate.age_ms + silentMs);
    }
    const quiet = silentMs > limits.stale_ms;
    const worst = quiet ? "stale" : ORDER.find((state) => state === now.hr.state || state === now.rr.state);
    const [shape, words, kind] = STATES[worst];
    const whose = quiet || now.hr.state === now.rr.state ? "" : now.hr.state === worst ? "HR: " : "RR: ";
    say(this.banner, `${shape} ${whose}${words}`);
    this.banner.dataset.kind = kind;
    this.element.classList.toggle("grey", now.hr.grey && now.rr.grey);
    return now;
  }

  showRate(held, rate, view, ageMs) {
    say(held.digits, view.value === null ? "---" : String(Math.round(view.value)));
    held.box.classList.toggle("none", view.value === null);
    held.box.classList.toggle("grey", view.grey);
    held.over = view.state === "stale" && view.value === null;
    const [shape, words, kind] = STATES[view.state];
    say(held.state, `${shape} ${words}`);
    held.state.dataset.kind = kind;
    const quality = view.state === "stale" ? "quality unknown" : `quality ${rate.sqi.toFixed(2)} ${rate.quality}`;
    say(held.most, `${quality} · ${seconds(ageMs)} old`);
    const more = [""];
    if (view.value !== null && rate.uncertainty !== null) more.push(`± ${rate.uncertainty.toFixed(1)}`);
    if (view.value !== null) more.push(`over ${Math.round(rate.window_s)} s`);
    if (SOURCES[rate.source]) more.push(`from ${SOURCES[rate.source]}`);
    say(held.more, more.join(" · "));
    list(held.why, view.state === "stale" ? ["no news from the device: check that it runs, and the network"] : rate.why);
  }

  drawWaves(colours) {
    if (this.stream === null) return;
    for (const [name, held] of Object.entries(this.rates)) {
      const head = this.stream + performance.now() - this.lagOf(held);
      const colour = held.box.classList.contains("grey") ? colours.grey : colours[name];
      const there = held.over ? held.sweep.clear() : held.sweep.draw(head, colour);
      held.box.classList.toggle("silent", !there);
      const { waveName, spanMs } = held.rate;
      say(held.legend, there ? `${waveName}, ${spanMs / 1000} s across` : `no ${waveName} at the moment`);
    }
  }

  // How far the head is behind the stream: blocks of a wave come late by what the model looks ahead.
  lagOf(held) {
    const end = held.sweep.endMs;
    if (end !== null && end !== held.lastEnd) {
      held.lastEnd = end;
      const late = this.stream + performance.now() - end;
      held.lag = held.lag === undefined || Math.abs(late - held.late) > JUMP_MS ? late + LAG_MS : held.lag;
      held.late = late;
    }
    return held.lag ?? LAG_MS;
  }
}
