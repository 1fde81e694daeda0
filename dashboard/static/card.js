// One pattern on the overview: its promise, its picture, its figures, its charts.

import { Chart } from "./chart.js";
import { h, put } from "./dom.js";
import { brief, DASH, ms, rate, seconds } from "./format.js";
import { Scene } from "./scene.js";

const TITLES = {
  pubsub: ["The town crier", "pubsub"],
  queue: ["The post office", "queue"],
  reliable: ["Registered mail", "reliable"],
  stream: ["The town ledger", "stream"],
};

const MAJOR = [
  ["sent", "Sent", (view) => view.totals.sent],
  ["received", "Received", (view) => view.totals.received],
  ["lost", "Lost", (view) => view.lost],
];
const MINOR = [
  ["duplicated", "Twice", (view) => view.totals.duplicates],
  ["retried", "Retried", (view) => (view.redelivers ? view.totals.retried : null)],
  ["dead", "Dead", (view) => view.dead_letters],
  ["in-flight", "In flight", (view) => view.in_flight],
  ["depth", "Waiting", (view) => view.depth],
  ["oldest", "Oldest", (view) => view.oldest_seconds, seconds],
];
const TONES = { lost: "bad", dead: "bad", duplicated: "warn", retried: "warn" };
const HINTS = {
  lost: "acknowledged by Redis, and not handled by a subscriber that should have; a range where a killed subscriber took its last counts with it",
  duplicated: "seen again by the same subscriber, by id",
  retried: "handed out again after a failure",
  dead: "given up, kept among the dead letters",
  "in-flight": "taken by a subscriber, not finished yet",
  depth: "in Redis, not yet taken",
  oldest: "how long the oldest has waited",
};

export class Card {
  constructor({ id: path, name, group }) {
    const [title, word] = TITLES[name] ?? [name, name];
    this.scene = new Scene(name, path);
    this.promise = h("p");
    this.setting = h("small");
    this.cells = {};
    this.rates = new Chart("Messages per second", RATES, (value) => (value === null ? DASH : `${rate(value)}/s`));
    this.delays = new Chart("Latency", DELAYS, ms);
    const id = `card-${path}`;
    // on a stream each group is a reader of its own
    const words = group ? `${word} · ${group}` : word;
    this.node = h(
      "article",
      { class: "card pattern", data: { pattern: name, path }, "aria-labelledby": id },
      h("header", {}, h("h2", { id }, title, h("small", { class: "mono" }, words)), this.promise),
      this.scene.node,
      this.#figures("figures", MAJOR),
      this.#figures("figures minor", MINOR),
      h("div", { class: "charts" }, this.rates.node, this.delays.node),
    );
  }

  close() {
    this.scene.close();
    this.rates.close();
    this.delays.close();
  }

  update(view, snapshot, history, speeds) {
    put(this.promise, view.promise);
    for (const [key, , pick, say = brief] of [...MAJOR, ...MINOR]) this.#set(key, pick(view), say);
    if (view.lost && !view.lost_certain) this.#uncertain(view.lost);
    const houses = view.fan_out && view.subscribers > 1 ? `at ${view.subscribers} houses` : "";
    put(this.cells.received.note, houses);
    put(this.cells.sent.note, view.sent_rate ? `${rate(view.sent_rate)}/s` : "");
    const unheard = view.totals.unheard;
    const unsure = view.lost && !view.lost_certain ? "not certain" : "";
    put(this.cells.lost.note, unheard ? `${brief(unheard)} unheard` : unsure);
    this.scene.update(view, snapshot.instances, snapshot.at, speeds);
    const series = history.of(view.id);
    this.rates.update(history.at, [series.received_rate, series.sent_rate]);
    this.delays.update(history.at, [series.p99_ms, series.p50_ms]);
  }

  /** A subscriber that was killed took the counts of its last second with it: these may well have been handled. */
  #uncertain(most) {
    put(this.cells.lost.figure, `0–${brief(most)}`);
    this.cells.lost.dd.dataset.tone = "";
  }

  #set(key, value, say) {
    const { dd, figure } = this.cells[key];
    put(figure, value === null || value === undefined ? DASH : say(value));
    const tone = value === null || value === undefined ? "none" : value > 0 ? (TONES[key] ?? "") : "";
    if (dd.dataset.tone !== tone) dd.dataset.tone = tone;
  }

  #figures(kind, cells) {
    return h(
      "dl",
      { class: kind },
      ...cells.map(([key, label]) => {
        const figure = h("span", { data: { figure: key } }, DASH);
        const note = h("small");
        const dd = h("dd", {}, figure, " ", note);
        this.cells[key] = { dd, figure, note };
        return h("div", { title: HINTS[key] ?? null }, h("dt", {}, label), dd);
      }),
    );
  }
}

const RATES = [
  { name: "received", hue: "--hue" },
  { name: "sent", hue: "--faint" },
];
const DELAYS = [
  { name: "p99", hue: "--hue" },
  { name: "p50", hue: "--faint" },
];
