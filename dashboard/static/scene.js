// One pattern's picture: who writes, what Redis does with it, who gets it. Moves at the real rates.

import { art, FRAME, house, writer } from "./art.js";
import { reducedMotion, h, put, svg } from "./dom.js";
import { Dots, road } from "./dots.js";
import { Flow, scaleOf } from "./flow.js";
import { brief, count, plural, rate } from "./format.js";
import { move } from "./motion.js";

const HEIGHT = 178;
const MIDDLE = 80;
const MOST_HOUSES = 4;
const MOST_WRITERS = 3;
const GONE_SHOWN_SECONDS = 60;
const LIT_SECONDS = 0.35;

const alive = (instance) => instance.state !== "gone";

export class Scene {
  constructor(pattern, path) {
    this.pattern = pattern;
    this.path = path;
    this.lines = svg("g");
    this.layer = svg("g");
    this.things = svg("g");
    this.root = svg("svg", { role: "img" }, this.lines, this.layer, this.things);
    this.node = h("div", { class: "scene" }, this.root);
    this.dots = new Dots(this.layer);
    this.arrivals = new Flow();
    this.handled = new Map();
    this.waiting = 0;
    this.before = null;
    this.view = null;
    this.shape = "";
    this.width = 0;
    this.visible = true;
    this.sizes = new ResizeObserver(() => this.#draw());
    this.sizes.observe(this.node);
    this.sight = new IntersectionObserver(([entry]) => {
      this.visible = entry.isIntersecting;
    });
    this.sight.observe(this.node);
    this.rest = move((seconds) => this.visible && this.#tick(seconds));
  }

  close() {
    this.rest();
    this.sizes.disconnect();
    this.sight.disconnect();
  }

  update(view, instances, at, speeds) {
    const mine = instances.filter((one) => view.instances.includes(one.id));
    const shown = (one) => alive(one) || (one.left === "vanished" && at - one.gone_at < GONE_SHOWN_SECONDS);
    this.view = view;
    this.speed = (one) => speeds.of(one.id, this.path, view.fan_out ? "received" : "handled");
    this.writers = mine.filter((one) => !one.takes && one.role !== "dashboard" && shown(one));
    this.listeners = mine.filter((one) => one.takes && shown(one));
    this.arrivals.steer(view.sent_rate);
    for (const one of this.listeners) {
      if (!this.handled.has(one.id)) this.handled.set(one.id, new Flow());
      this.handled.get(one.id).steer(this.speed(one));
    }
    this.#losses(view);
    this.#draw();
    this.#write();
  }

  #losses(view) {
    const now = { lost: view.lost, retried: view.totals.retried, failed: view.totals.failed };
    const before = this.before ?? now;
    this.before = now;
    if (reducedMotion.matches || !this.centre || document.hidden) return;
    const some = (name) => Math.max(0, Math.min(now[name] - before[name], 3));
    for (let n = some("lost"); n > 0; n -= 1) this.dots.fall({ x: this.centre.x + 24 - n * 12, y: this.centre.y + 40 });
    const from = this.houses.find((one) => one.alive);
    for (let n = some("failed"); n > 0 && from && view.redelivers; n -= 1) {
      this.dots.send(from.door, this.exit, "back");
    }
  }

  /** Draw anew only when an instance came or went, or the size changed. */
  #draw() {
    const width = Math.round(this.node.clientWidth);
    if (!this.view || !width) return;
    const shape = [width, ...[...this.writers, ...this.listeners].map((one) => one.id + one.state + this.#stalled(one))].join(" ");
    if (shape === this.shape) return;
    this.shape = shape;
    this.width = width;
    this.root.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.dots.clear();
    this.lines.replaceChildren();
    this.things.replaceChildren();
    this.centre = { x: Math.round(width * (width < 420 ? 0.5 : 0.48)), y: MIDDLE };
    this.entry = { x: this.centre.x - FRAME.width / 2, y: MIDDLE };
    this.exit = { x: this.centre.x + FRAME.width / 2, y: MIDDLE };
    this.#drawWriters();
    this.#drawHouses();
    this.#drawRedis();
    this.#write();
  }

  #drawWriters() {
    const shown = this.writers.slice(0, MOST_WRITERS);
    const x = this.width < 420 ? 40 : 46;
    const places = spread(Math.max(shown.length, 1), 46);
    this.sources = places.map((y, index) => {
      const from = { x: x + 20, y };
      const gone = !shown[index] || !alive(shown[index]);
      this.lines.append(svg("path", { class: gone ? "road off" : "road", d: road(from, this.entry) }));
      this.things.append(at(x, y, writer(), gone ? "off" : "", title(shown[index], "no publisher")));
      return from;
    });
    this.writersLabel = text(x, places.at(-1) + 32);
    this.inLabel = text((x + 20 + this.entry.x) / 2, MIDDLE - 10, "rate");
    this.scaleLabel = text((x + 20 + this.entry.x) / 2, MIDDLE + 19, "scale");
    this.things.append(this.writersLabel, this.inLabel, this.scaleLabel);
  }

  #drawHouses() {
    const shown = this.listeners.length > MOST_HOUSES ? this.listeners.slice(0, MOST_HOUSES - 1) : this.listeners;
    const more = this.listeners.length - shown.length;
    const places = spread(shown.length + (more ? 1 : 0), 42);
    const x = this.width - (this.width < 420 ? 62 : 96);
    this.houses = shown.map((one, index) => {
      const door = { x: x - 14, y: places[index] };
      const state = one.state === "gone" ? "gone" : this.#stalled(one) ? "stalled" : "";
      const node = at(x, places[index], house(), state, title(one));
      const label = text(x + 20, places[index] + 4, "start");
      this.lines.append(svg("path", { class: state === "gone" ? "road off" : "road", d: road(this.exit, door) }));
      this.things.append(node, label);
      return { id: one.id, door, node, label, state, alive: alive(one), lit: 0 };
    });
    if (more) {
      const y = places.at(-1);
      this.lines.append(svg("path", { class: "road", d: road(this.exit, { x: x - 14, y }) }));
      this.things.append(at(x, y, house(), "", `${more} more`), text(x + 20, y + 4, "start", `+${count(more)} more`));
    }
    if (!this.listeners.length) {
      const end = { x: x - 14, y: MIDDLE };
      this.lines.append(svg("path", { class: "road off", d: road(this.exit, end) }));
      this.things.append(at(x, MIDDLE, house(), "gone", "none"), text(x + 4, MIDDLE + 32, "", "none"));
    }
  }

  /** A loop of another pattern may stand still; this one goes on. */
  #stalled(one) {
    return one.state === "stalled" && this.pattern in one.idle_seconds;
  }

  #drawRedis() {
    const { x, y } = this.centre;
    const picture = art(this.pattern);
    this.waves = picture.waves;
    this.slots = picture.slots;
    picture.node.setAttribute("transform", `translate(${x} ${y + 4})`);
    this.keyLabel = text(x, y + FRAME.height / 2 + 20, "key");
    this.storeLabel = text(x, y + FRAME.height / 2 + 38);
    this.things.append(
      svg("rect", {
        class: "frame", x: x - FRAME.width / 2, y: y - FRAME.height / 2, width: FRAME.width, height: FRAME.height, rx: 9,
      }),
      text(x, y - FRAME.height / 2 - 9, "", "Redis"),
      picture.node,
      this.keyLabel,
      this.storeLabel,
    );
  }

  #write() {
    const { view } = this;
    if (!this.centre) return;
    put(this.writersLabel, this.writers.length === 1 ? "publisher" : plural(this.writers.length, "publisher"));
    put(this.inLabel, view.sent_rate ? `${rate(view.sent_rate)}/s` : "");
    put(this.keyLabel, view.key.length > 24 ? `${view.key.slice(0, 23)}…` : view.key);
    const stored = store(view);
    put(this.storeLabel, stored.words);
    this.storeLabel.setAttribute("class", stored.tone);
    for (const place of this.houses) {
      const one = this.listeners.find((listener) => listener.id === place.id);
      if (one) put(place.label, place.state === "gone" ? "gone" : place.state === "stalled" ? "stalled" : `${rate(this.speed(one))}/s`);
    }
    const kept = view.stored ?? view.depth ?? 0; // what is handled stays in a ledger
    const full = Math.ceil(Math.min(1, Math.log10(1 + kept) / 4) * this.slots.length);
    this.slots.forEach((slot, index) => slot.classList.toggle("full", index < full));
    const words = describe(view, this.writers, this.listeners);
    if (this.root.getAttribute("aria-label") !== words) this.root.setAttribute("aria-label", words);
  }

  #tick(seconds) {
    if (!this.view || !this.centre) return;
    const rates = [...this.handled.values()].map((flow) => flow.rate);
    const sum = rates.reduce((total, one) => total + one, 0);
    const scale = scaleOf(this.arrivals.rate, this.view.fan_out ? Math.max(0, ...rates) : sum);
    put(this.scaleLabel, scale < 0.67 ? `1 dot = ${brief(round(1 / scale))}` : "");
    for (let due = this.arrivals.due(seconds, scale); due > 0; due -= 1) this.#sendIn();
    if (!this.view.fan_out) this.#sendOut(seconds, scale);
    this.dots.advance(seconds);
    for (const place of this.houses) {
      place.lit = Math.max(0, place.lit - seconds);
      place.node.classList.toggle("lit", place.lit > 0);
    }
    this.#ring(seconds);
  }

  #sendIn() {
    const from = this.sources[Math.floor(Math.random() * this.sources.length)];
    this.dots.send(from, this.entry, "", () => (this.view.fan_out ? this.#cry() : (this.waiting += 1)));
  }

  /** Every house hears: a copy to each. */
  #cry() {
    const open = this.houses.filter((place) => place.alive);
    this.ringing = 1;
    if (!open.length) this.dots.fall({ x: this.exit.x + 10, y: this.exit.y });
    for (const place of open) this.dots.send(this.exit, place.door, "", () => (place.lit = LIT_SECONDS));
  }

  /** One house collects: as often as it really does. */
  #sendOut(seconds, scale) {
    const backlog = this.view.depth > 0;
    for (const place of this.houses) {
      const due = this.handled.get(place.id)?.due(seconds, scale) ?? 0;
      for (let left = due; left > 0 && place.alive; left -= 1) {
        if (!backlog && this.waiting < 1) {
          this.handled.get(place.id).credit += left; // it has not arrived yet
          break;
        }
        this.waiting = Math.max(0, this.waiting - 1);
        this.dots.send(this.exit, place.door, "", () => (place.lit = LIT_SECONDS));
      }
    }
    this.waiting = Math.min(this.waiting, 4);
  }

  #ring(seconds) {
    if (!this.waves.length || !(this.ringing > 0)) return;
    this.ringing = Math.max(0, this.ringing - seconds * 1.6);
    const [near, far] = this.waves;
    near.style.opacity = String(Math.min(1, this.ringing * 1.4));
    far.style.opacity = String(Math.max(0, 0.9 - Math.abs(this.ringing - 0.5) * 1.8));
  }
}

function spread(number, gap) {
  const room = Math.min(gap, number > 1 ? 132 / (number - 1) : gap);
  return Array.from({ length: number }, (_, index) => MIDDLE + (index - (number - 1) / 2) * room);
}

function at(x, y, node, state, words) {
  return svg("g", { class: state, transform: `translate(${x} ${y})` }, svg("title", {}, words), node);
}

/** To two digits: what a dot stands for is no measurement. */
function round(value) {
  return Number(value.toPrecision(value < 10 ? 1 : 2));
}

function text(x, y, kind = "", words = "") {
  return svg("text", { x, y, class: kind }, words);
}

function title(instance, otherwise = "") {
  return instance ? `${instance.role} ${instance.id} on ${instance.host}: ${instance.state}` : otherwise;
}

function store(view) {
  if (view.depth === null) {
    const lost = view.sent_rate > 0 && view.listeners === 0;
    return lost ? { words: "no subscribers", tone: "tone-bad" } : { words: "keeps nothing", tone: "" };
  }
  const parts = [`${brief(view.depth)} waiting`];
  if (view.stored !== null) parts.unshift(`${brief(view.stored)} kept`);
  if (view.in_flight) parts.push(`${brief(view.in_flight)} in flight`);
  if (view.dead_letters) parts.push(`${brief(view.dead_letters)} dead`);
  return { words: parts.join(" · "), tone: view.depth > 0 && view.subscribers === 0 ? "tone-warn" : "" };
}

function describe(view, writers, listeners) {
  const living = listeners.filter(alive).length;
  const ways = view.fan_out ? "each subscriber hears every message" : "each message goes to one subscriber";
  return `${plural(writers.filter(alive).length, "publisher")}, ${view.key}, ${plural(living, "subscriber")}: ${ways}`;
}
