// What is in some subscriber's hands, and until when.

import { get } from "./api.js";
import { h, put } from "./dom.js";
import { count, seconds } from "./format.js";
import { clip, empty, toast } from "./parts.js";
import { words } from "./letters-dead.js";
import { Table } from "./rows.js";

const PAGE = 100;

export class FlightTab {
  constructor(view) {
    this.path = `in-flight/${view.name}`;
    this.where = { name: view.key, group: view.group };
    this.flights = [];
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
      key: (flight) => flight.id,
      render: (flight, row) => this.#cells(flight, row),
    });
    this.empty = empty("house", "Nothing is in flight", "What a subscriber has taken and not yet finished shows here, with the lease after which somebody else may have it.");
    this.node = h("div", {}, this.table.node, this.note, this.empty);
    this.empty.hidden = this.table.node.hidden = true;
  }

  async load() {
    try {
      const { flights, total } = await get(this.path, { ...this.where, limit: PAGE });
      this.flights = flights;
      put(this.note, total > flights.length ? `${count(flights.length)} of ${count(total)}` : "");
      this.empty.hidden = total > 0;
      this.table.node.hidden = !flights.length;
      this.tick();
    } catch (problem) {
      if (problem.status !== 503) toast(problem.message, "bad");
    }
  }

  tick() {
    this.table.update(this.flights);
  }

  #cells(flight, row) {
    const first = (row.first ??= clip(words({ ...flight, truncated: false }), "–"));
    const left = flight.until === null ? null : flight.until - this.now;
    const lease = left !== null ? (left > 0 ? `${seconds(left)} left` : "ran out") : flight.idle !== null ? `held ${seconds(flight.idle)}` : "–";
    return [first, (row.by ??= h("span", { class: "mono" }, flight.consumer)), count(flight.messages), lease, flight.attempts === null ? "–" : String(flight.attempts)];
  }
}
