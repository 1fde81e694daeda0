// Dead letters, scheduled messages and messages in flight; one tab each.

import { h, put } from "./dom.js";
import { brief } from "./format.js";
import { DeadLettersTab } from "./dead-letters.js";
import { InFlightTab } from "./in-flight.js";
import { ScheduledTab } from "./scheduled.js";
import { empty, head } from "./parts.js";

export const title = "Queues";

const REFRESH_SECONDS = 2;
const TABS = [
  ["dead", "Dead letters", "dead_letters", DeadLettersTab],
  ["scheduled", "Scheduled", "scheduled", ScheduledTab],
  ["in-flight", "In flight", "in_flight", InFlightTab],
];

export class Screen {
  constructor(app) {
    this.app = app;
    this.tabs = TABS.map(([name, label, field, Tab]) => {
      const badge = h("span", { class: "badge" });
      const button = h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", onclick: () => this.#choose(name) }, label, badge);
      return { name, field, Tab, button, badge };
    });
    this.pattern = h("select", { "aria-label": "Pattern", onchange: () => this.#open() });
    this.strip = h("div", { class: "tabs", role: "tablist", "aria-label": "Queues", onkeydown: (event) => this.#keys(event) }, ...this.tabs.map(({ button }) => button));
    this.panel = h("div", { id: "panel", role: "tabpanel" });
    this.none = empty("envelope", "No pattern here hands a message out again", "Only reliable and stream do, and keep what cannot be handled. Start them: `PATTERN=all docker compose up`, or `PATTERN=all make demo`.");
    this.bar = h("div", { class: "bar" }, this.strip, h("span", { class: "grow" }), this.pattern);
    this.node = h("div", { class: "dims" }, head("Queues", h("p", {}, "Messages that no handler could handle, messages that are due later, messages that are being handled.")), this.bar, this.panel, this.none);
    this.none.hidden = this.bar.hidden = this.panel.hidden = true; // until something is known
    this.chosen = "dead";
    this.tab = null;
    this.asked = 0;
    this.counted = "";
  }

  update(snapshot) {
    const views = snapshot.patterns.filter((view) => view.dead_letters !== null);
    this.none.hidden = views.length > 0;
    this.bar.hidden = this.panel.hidden = !views.length;
    if (!views.length) return;
    const names = views.map((view) => view.id).join();
    if (names !== this.names) {
      this.names = names;
      const before = this.pattern.value;
      this.pattern.replaceChildren(...views.map((view) => h("option", { value: view.id }, called(view, views))));
      const best = views.find((view) => view.id === before) ?? views.find((view) => view.dead_letters) ?? views[0];
      this.pattern.value = best.id;
      this.pattern.hidden = views.length < 2;
      this.#open();
    }
    const view = views.find(({ id }) => id === this.pattern.value);
    for (const { field, badge } of this.tabs) put(badge, brief(view[field] ?? 0));
    this.tab.now = snapshot.at;
    const counts = [view.dead_letters, view.scheduled, view.in_flight, view.totals.dead, view.totals.retried].join();
    const due = performance.now() - this.asked > REFRESH_SECONDS * 1000;
    if (due && (counts !== this.counted || this.chosen !== "dead")) {
      this.counted = counts;
      this.#refresh();
    } else {
      this.tab.tick?.();
    }
  }

  #choose(name) {
    this.chosen = name;
    this.#open();
  }

  #open() {
    const { Tab } = this.tabs.find((tab) => tab.name === this.chosen);
    for (const { name, button } of this.tabs) {
      button.setAttribute("aria-selected", String(name === this.chosen));
      button.tabIndex = name === this.chosen ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `tab-${this.chosen}`);
    this.tab = new Tab(this.app.snapshot.patterns.find(({ id }) => id === this.pattern.value), () => this.app.session?.write, () => this.#refresh());
    this.tab.now = this.app.snapshot.at;
    this.panel.replaceChildren(this.tab.node);
    this.#refresh();
  }

  #refresh() {
    this.asked = performance.now();
    return this.tab.load();
  }

  #keys(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = this.tabs.findIndex(({ name }) => name === this.chosen);
    const next = this.tabs[(index + step + this.tabs.length) % this.tabs.length];
    this.#choose(next.name);
    next.button.focus();
  }
}

/** The pattern alone, where there is but one of it. */
function called({ name, key, group }, views) {
  if (views.filter((view) => view.name === name).length < 2) return name;
  return [name, key, group].filter(Boolean).join(" · ");
}
