// Messages in flight: which consumer holds them, and until when.

import { get } from "./api.js";
import { h, put } from "./dom.js";
import { count, seconds } from "./format.js";
import { clip, empty, toast } from "./parts.js";
import { words } from "./dead-letters.js";
import { Table } from "./rows.js";

const PAGE = 100;

export class InFlightTab {
  constructor(view) {
    this.path = `in-flight/${view.name}`;
    this.where = { name: view.key, group: view.group };
    this.messages = [];
    this.note = h("p", { class: "soft small" });
    this.table = new Table({
      caption: "Messages in flight",
      columns: [
        { label: "First message", wide: true },
        { label: "Held by", wide: true },
        { label: "Messages", number: true },
        { label: "Lease", number: true },
        { label: "Attempts", number: true },
      ],
      key: (message) => message.id,
      render: (message, row) => this.#cells(message, row),
    });
    this.empty = empty("house", "Nothing is in flight", "What a subscriber has taken and not yet finished shows here, with the lease after which another one may take it.");
    this.node = h("div", {}, this.table.node, this.note, this.empty);
    this.empty.hidden = this.table.node.hidden = true;
  }

  async load() {
    try {
      const { messages, total } = await get(this.path, { ...this.where, limit: PAGE });
      this.messages = messages;
      put(this.note, total > messages.length ? `${count(messages.length)} of ${count(total)}` : "");
      this.empty.hidden = total > 0;
      this.table.node.hidden = !messages.length;
      this.tick();
    } catch (problem) {
      if (problem.status !== 503) toast(problem.message, "bad");
    }
  }

  tick() {
    this.table.update(this.messages);
  }

  #cells(message, row) {
    const first = (row.first ??= clip(words({ ...message, truncated: false }), "–"));
    const left = message.until === null ? null : message.until - this.now;
    const lease = left !== null ? (left > 0 ? `${seconds(left)} left` : "ran out") : message.idle !== null ? `held ${seconds(message.idle)}` : "–";
    return [first, (row.by ??= h("span", { class: "mono" }, message.consumer)), count(message.messages), lease, message.attempts === null ? "–" : String(message.attempts)];
  }
}
