// The page: snapshots in, cards out; and time, which passes also when nothing comes.

import { Aiming } from "/aim.js";
import { Card } from "/card.js";
import { since, stamp } from "/freshness.js";
import { Link } from "/link.js";
import { KEPT, STATES, list, make, say, seconds } from "/words.js";

const SHOW_MS = 250;
const SPEAK_MS = 5000;
const FRAME_MS = 30;
const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

const cards = new Map();
const aiming = new Aiming(byId("aiming"));
const link = new Link(take);
let newest = null; // the snapshot, and when it was made at the earliest
let spoken = { text: "", at: { mono: -SPEAK_MS, wall: 0 } };
let drawn = 0;
let colours = null;

function take(snapshot, madeAfter) {
  newest = { snapshot, madeAfter };
  const wanted = new Set();
  for (const card of snapshot.cards) {
    const key = `${card.zone}/${card.person}`;
    wanted.add(key);
    if (!cards.has(key)) cards.set(key, new Card(key));
    const several = snapshot.cards.filter((other) => other.zone === card.zone).length > 1;
    cards.get(key).take(card, madeAfter, several);
  }
  for (const key of [...cards.keys()]) {
    if (!wanted.has(key)) {
      cards.get(key).element.remove();
      cards.delete(key);
    }
  }
  for (const block of snapshot.waves) cards.get(`${block.zone}/${block.person}`)?.addWave(block);
  const order = [...wanted].map((key) => cards.get(key).element);
  const main = byId("cards");
  if (order.some((element, i) => main.children[i] !== element)) main.replaceChildren(...order);
  main.dataset.fit = fit(order.length);
  show();
}

// How so many cards are laid out where they all fit a screen: page.css says what each word means.
const fit = (count) => (count > 4 ? "rows" : String(Math.max(count, 1)));

function show() {
  showLink();
  if (!newest) return;
  const { snapshot, madeAfter } = newest;
  const said = [];
  for (const card of cards.values()) {
    const now = card.show(snapshot.limits);
    const words = Object.entries(now).map(([name, view]) => {
      const label = name === "hr" ? "pulse" : "breathing";
      return `${label} ${view.value === null ? STATES[view.state][1] : `${Math.round(view.value)}, ${STATES[view.state][1]}`}`;
    });
    said.push(`${card.title.textContent}: ${words.join("; ")}`);
  }
  showDevice(snapshot);
  if (!byId("aiming").hidden) aiming.show(snapshot.sight, madeAfter, snapshot.limits.stale_ms);
  speak(said.join(". "));
}

function showLink() {
  const element = byId("link");
  const quiet = link.heard ? since(link.heard) : 0;
  const status = newest?.snapshot.status;
  let [kind, text] = ["wait", "○ connecting"];
  if (link.state === "locked") [kind, text] = ["gone", "■ locked"];
  else if (link.state === "full") [kind, text] = ["gone", "■ too many pages are open"];
  else if (link.state === "closed") [kind, text] = ["gone", "■ no connection"];
  else if (link.heard && quiet > 3000) [kind, text] = ["gone", `■ no news for ${Math.floor(quiet / 1000)} s`];
  else if (status?.state === "offline") [kind, text] = ["gone", `■ not measuring: ${status.reason}`];
  else if (link.heard) [kind, text] = ["good", "● connected"];
  say(element, text);
  element.dataset.kind = kind;
  const locked = byId("notice-top");
  locked.hidden = link.state !== "locked";
  if (!locked.hidden) say(locked, "This page needs its token: open the whole link that the device printed at its start.");
}

function showDevice(snapshot) {
  say(byId("device"), snapshot.device);
  document.title = `${snapshot.device} · mmrphys`;
  say(byId("notice"), snapshot.notice);
  const kept = byId("kept");
  kept.hidden = false;
  kept.dataset.kept = snapshot.kept;
  say(kept, KEPT[snapshot.kept].join(" "));
  const cameras = byId("cameras");
  const rates = snapshot.cards[0];
  cameras.hidden = !rates;
  if (rates) {
    const parts = Object.entries(rates.fps).map(([kind, fps]) => {
      const lost = rates.dropped[kind] ? `, ${rates.dropped[kind]} lost` : "";
      return `${kind === "rgb" ? "RGB" : kind} ${fps.toFixed(1)} fps${lost}`;
    });
    say(cameras, parts.join(" · "));
  }
  if (!snapshot.cards.length && !byId("cards").children.length) {
    byId("cards").append(make("p", "empty", "Waiting for the first frames"));
  }
  list(byId("events"), snapshot.events.map((e) => `${Math.floor(e.ago_ms / 1000)} s ago ${e.where} ${e.text}`).reverse());
  const about = snapshot.about;
  const cams = Object.entries(about.cameras ?? {}).map(([kind, name]) => `${kind}: ${name}`);
  say(byId("about"), [about.software, about.mode, about.runtime, `signature ${about.signature}`, ...cams].join(" · "));
}

// Speech: what is shown, when it changed, at most every 5 s.
function speak(text) {
  if (text === spoken.text || since(spoken.at) < SPEAK_MS) return;
  spoken = { text, at: stamp() };
  byId("spoken").textContent = text;
}

function frame(now) {
  requestAnimationFrame(frame);
  if (now - drawn < (still.matches ? 1000 : FRAME_MS)) return;
  drawn = now;
  colours ??= readColours();
  for (const card of cards.values()) card.drawWaves(colours);
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return { hr: colour("--hr"), rr: colour("--rr"), grey: colour("--grey") };
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  say(byId("theme"), `Theme: ${theme}`);
  try { localStorage.setItem("theme", theme); } catch { /* private mode: only for now */ }
  colours = null;
}

function setAim(wanted) {
  byId("aiming").hidden = !wanted;
  byId("aim").setAttribute("aria-pressed", String(wanted));
  document.body.classList.toggle("aims", wanted);
  link.setAim(wanted);
  show();
}

const THEMES = ["auto", "day", "night"];
let theme = "auto";
try { theme = localStorage.getItem("theme") ?? theme; } catch { /* the same */ }
setTheme(THEMES.includes(theme) ? theme : "auto");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (colours = null));
byId("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  setTheme(theme);
});
byId("aim").addEventListener("click", () => setAim(byId("aiming").hidden));
setInterval(show, SHOW_MS);
for (const event of ["visibilitychange", "resume"]) document.addEventListener(event, show);
for (const event of ["pageshow", "focus", "online"]) window.addEventListener(event, show);
requestAnimationFrame(frame);
link.start();
