// The view for aiming: where faces are and how well cameras see them, drawn without a single pixel of a picture.

import { since } from "/freshness.js";
import { list, make, say } from "/words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 1000;

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export class Aiming {
  constructor(section) {
    this.section = section;
    this.picture = shape("svg", { role: "img", class: "frame" });
    this.words = make("div", "advice");
    this.head = make("p", "headline");
    this.items = make("ul");
    this.words.append(make("h2", "", "Aim cameras"), this.head, this.items);
    section.append(this.picture, this.words);
  }

  show(sight, madeAfter, staleMs) {
    if (!sight || sight.silent_ms + since(madeAfter) > staleMs) {
      say(this.head, "No picture from the camera at the moment");
      list(this.items, []);
      this.picture.replaceChildren();
      return;
    }
    say(this.head, sight.headline);
    list(this.items, sight.advice.map((line) => `${line.well ? "✓" : "▲"} ${line.text}`));
    [...this.items.children].forEach((item, i) => (item.dataset.well = sight.advice[i].well));
    this.draw(sight);
  }

  draw(sight) {
    const high = (WIDE * sight.height_px) / sight.width_px;
    this.picture.setAttribute("viewBox", `-4 -4 ${WIDE + 8} ${high + 8}`);
    this.picture.setAttribute("aria-label", sight.headline);
    const parts = [shape("rect", { class: "edge", width: WIDE, height: high })];
    parts.push(shape("path", { class: "cross", d: `M${WIDE / 2} 0V${high}M0 ${high / 2}H${WIDE}` }));
    if (sight.thermal) {
      const points = sight.thermal.map(([x, y]) => `${x * WIDE},${y * high}`).join(" ");
      parts.push(shape("polygon", { class: "thermal", points }));
    }
    for (const face of sight.faces) {
      const [x, y, w, h] = face.box;
      const box = { x: x * WIDE, y: y * high, width: w * WIDE, height: h * high };
      parts.push(shape("rect", { class: face.well ? "face well" : "face", rx: 12, ...box }));
      const label = shape("text", { class: "label", x: box.x + box.width / 2, y: Math.max(34, box.y - 14) });
      label.textContent = `${Math.round(face.side_px)} px`;
      parts.push(label);
    }
    this.picture.replaceChildren(...parts);
  }
}
