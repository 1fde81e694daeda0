// What flows, at a glance.

import { Card } from "./card.js";
import { h, put } from "./dom.js";
import { bytes, count, ms, seconds } from "./format.js";
import { Verdict } from "./verdict.js";

export const title = "Overview";

export class Screen {
  constructor(app) {
    this.app = app;
    this.cards = new Map();
    this.verdict = new Verdict();
    this.grid = h("div", { class: "cards" });
    this.server = h("p", { class: "server" });
    this.facts = {};
    for (const [key, label] of FACTS) {
      this.facts[key] = h("b");
      this.server.append(h("span", {}, `${label} `, this.facts[key]));
    }
    this.node = h("div", { class: "dims" }, this.verdict.node, this.grid, this.server);
  }

  close() {
    for (const card of this.cards.values()) card.close();
  }

  update(snapshot) {
    this.verdict.update(snapshot);
    const ids = snapshot.patterns.map((view) => view.id);
    for (const [id, card] of this.cards) {
      if (ids.includes(id)) continue;
      card.close();
      card.node.remove();
      this.cards.delete(id);
    }
    snapshot.patterns.forEach((view, index) => {
      if (!this.cards.has(view.id)) {
        const card = new Card(view);
        this.cards.set(view.id, card);
        this.grid.insertBefore(card.node, this.grid.children[index] ?? null);
      }
      this.cards.get(view.id).update(view, snapshot, this.app.history, this.app.speeds);
    });
    this.#facts(snapshot);
  }

  #facts({ redis, pages }) {
    const memory = redis.used_memory === null ? "–" : bytes(redis.used_memory);
    put(this.facts.version, [redis.version, redis.role].filter(Boolean).join(", ") || "–");
    put(this.facts.where, this.app.session?.redis ?? "–");
    put(this.facts.uptime, seconds(redis.uptime));
    put(this.facts.memory, redis.max_memory ? `${memory} of ${bytes(redis.max_memory)}` : memory);
    put(this.facts.clients, count(redis.clients));
    put(this.facts.commands, redis.commands_rate === null ? "–" : `${count(Math.round(redis.commands_rate))}/s`);
    put(this.facts.trip, ms(redis.round_trip_ms));
    put(this.facts.pages, count(pages));
  }
}

const FACTS = [
  ["version", "Redis"],
  ["where", "at"],
  ["uptime", "up for"],
  ["memory", "memory"],
  ["clients", "clients"],
  ["commands", "commands"],
  ["trip", "round trip"],
  ["pages", "open pages"],
];
