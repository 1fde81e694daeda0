// Every service that reports, and those that no longer do.

import { h, put } from "./dom.js";
import { brief, DASH, rate, seconds } from "./format.js";
import { empty, head, tag } from "./parts.js";
import { Table } from "./rows.js";

export const title = "Instances";

const COLUMNS = [
  { label: "Instance", wide: true },
  { label: "State" },
  { label: "Pattern" },
  { label: "Up", number: true },
  { label: "Rate", number: true },
  { label: "Sent or handled", number: true },
  { label: "Failed", number: true },
  { label: "Lag", number: true },
  { label: "Last seen", number: true },
];

export class Screen {
  constructor() {
    this.summary = h("p");
    this.table = new Table({
      caption: "Instances",
      columns: COLUMNS,
      key: (one) => one.id,
      render: (one, row) => this.#cells(one, row),
      decorate: (row, one) => (row.dataset.state = one.state),
    });
    this.empty = empty("house", "No service is running", "Start a publisher and a subscriber: `docker compose up`, or `make demo`. They appear within seconds.");
    this.node = h("div", { class: "dims" }, head("Instances", this.summary), this.table.node, this.empty);
  }

  update({ instances, at }) {
    this.at = at;
    const count = (test) => instances.filter(test).length;
    const parts = [
      [count((one) => !one.takes && one.role !== "dashboard" && one.state !== "gone"), "publishing"],
      [count((one) => one.takes && one.state !== "gone"), "listening"],
      [count((one) => one.state === "stalled"), "stalled"],
      [count((one) => one.state === "silent"), "silent"],
      [count((one) => one.state === "gone"), "gone in the last five minutes"],
    ];
    put(this.summary, parts.filter(([number]) => number).map(([number, word]) => `${number} ${word}`).join(", "));
    this.empty.hidden = instances.length > 0;
    this.table.node.hidden = !instances.length;
    this.table.update([...instances].sort((one, other) => place(one) - place(other)));
  }

  #cells(one, row) {
    const publishes = !one.takes;
    const parts = (row.parts ??= this.#parts(one));
    put(parts.state, one.state === "gone" ? (one.left === "stopped" ? "stopped" : "gone") : one.state);
    parts.state.dataset.state = TONES[one.state] ?? one.state;
    if (one.left === "stopped") parts.state.dataset.state = "stopped";
    put(parts.why, why(one));
    const speed = publishes ? one.sent_rate : Math.max(one.handled_rate, one.received_rate);
    const gone = one.state === "gone";
    return [
      parts.name,
      parts.stateCell,
      parts.patterns,
      seconds(one.uptime),
      gone ? DASH : `${rate(speed)}/s`,
      each(one, publishes ? "sent" : "handled"),
      parts.failed(one),
      one.lag === null ? DASH : brief(one.lag),
      gone ? `${seconds(this.at - (one.gone_at ?? one.last_seen))} ago` : `${seconds(Math.max(0, this.at - one.last_seen))} ago`,
    ];
  }

  #parts(one) {
    const state = h("span", { class: "status" });
    const why_ = h("span", { class: "sub why" });
    const failed = h("span");
    return {
      name: h("span", {}, h("span", { class: "strong" }, one.role), h("span", { class: "sub mono" }, `${one.host} · ${one.pid} · ${one.id.split("-").at(-1)}`)),
      state,
      why: why_,
      stateCell: h("span", {}, state, why_),
      patterns: h("span", { class: "tags" }, ...one.patterns.map(tag)),
      failed: ({ totals }) => {
        put(failed, brief(totals.failed));
        failed.className = totals.failed ? "bad" : "";
        return failed;
      },
    };
  }
}

/** By pattern, as the tags beside it: a message that went two ways is not two messages. */
function each({ by_path }, what) {
  return Object.values(by_path).map((totals) => brief(totals[what])).join(" + ") || brief(0);
}

const ROLES = ["publisher", "subscriber"];

/** Those who exchange messages first, the gone last; otherwise as they came. */
function place({ role, state }) {
  const index = ROLES.indexOf(role);
  return (state === "gone" ? 10 : 0) + (index < 0 ? ROLES.length : index);
}

const TONES = { silent: "stalled" };

function why(one) {
  if (one.state === "gone") return one.left === "stopped" ? "said goodbye" : "killed, crashed or cut off";
  const idle = Object.entries(one.idle_seconds);
  if (one.state === "stalled") return idle.map(([loop, since]) => `${loop} has not turned for ${seconds(since)}`).join(", ");
  if (one.state === "silent") return "connected, but does not report";
  return one.error ? one.error.slice(0, 140) : "";
}
