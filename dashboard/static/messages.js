// What passes by: a sample where there is much, everything where there is little.

import { get } from "./api.js";
import * as dialogs from "./dialogs.js";
import { h, put } from "./dom.js";
import { bytes, clock, plural } from "./format.js";
import { clip, doing, empty, head, tag } from "./parts.js";

export const title = "Messages";

const SHOWN = 100;

export class Screen {
  constructor(app) {
    this.app = app;
    this.paused = null;
    this.pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.#toggle() }, "Pause");
    this.pattern = h("select", { "aria-label": "Pattern", onchange: () => this.#draw() }, h("option", { value: "" }, "All patterns"));
    this.kind = h(
      "select",
      { "aria-label": "Direction", onchange: () => this.#draw() },
      h("option", { value: "" }, "Sent and received"),
      h("option", { value: "sent" }, "Sent"),
      h("option", { value: "received" }, "Received"),
    );
    this.sender = h("input", { type: "search", placeholder: "Sender", "aria-label": "Sender contains", oninput: () => this.#draw() });
    this.text = h("input", { type: "search", placeholder: "Text or id", "aria-label": "Text or id contains", oninput: () => this.#draw() });
    this.note = h("p");
    this.list = h("ol", { class: "feed" });
    this.box = h("div", { class: "card" }, this.list);
    this.empty = empty("bell", "Nothing has passed by yet", "Send something under “Try it”, or start a publisher: `docker compose up`, or `make demo`.");
    this.nothing = empty("bell", "Nothing matches", "Loosen the filters above.");
    this.rows = new Map();
    this.node = h(
      "div",
      { class: "dims" },
      head("Messages", this.note),
      h("div", { class: "bar" }, this.pause, this.pattern, this.kind, this.sender, this.text),
      this.box,
      this.empty,
      this.nothing,
    );
    this.#draw();
  }

  update({ patterns }) {
    const known = new Set([...this.pattern.options].map((option) => option.value));
    for (const { name } of patterns) if (!known.has(name)) this.pattern.append(h("option", { value: name }, name));
    const rate = patterns.reduce((sum, view) => sum + view.sent_rate + view.received_rate, 0);
    put(this.note, this.paused ? `Paused; ${plural(this.missed, "line")} came since.` : rate > 40 ? "A sample: there are too many to show each." : "Every message.");
  }

  seen(lines) {
    if (this.paused) this.missed += lines.length;
    else this.#draw();
  }

  #toggle() {
    this.paused = this.paused ? null : [...this.app.feed];
    this.missed = 0;
    this.pause.setAttribute("aria-pressed", String(Boolean(this.paused)));
    put(this.pause, this.paused ? "Go on" : "Pause");
    this.#draw();
    if (this.app.snapshot) this.update(this.app.snapshot);
  }

  #draw() {
    const feed = this.paused ?? this.app.feed;
    const wanted = feed.filter((line) => this.#wants(line)).slice(-SHOWN).reverse();
    const rows = new Map(wanted.map((line) => [line, this.rows.get(line) ?? this.#row(line)]));
    for (const [line, row] of this.rows) if (!rows.has(line)) row.remove();
    this.rows = rows;
    let next = this.list.firstChild;
    for (const row of rows.values()) {
      if (row === next) next = next.nextSibling;
      else this.list.insertBefore(row, next);
    }
    this.box.hidden = !wanted.length;
    this.empty.hidden = feed.length > 0;
    this.nothing.hidden = !feed.length || wanted.length > 0;
  }

  #wants(line) {
    const has = (words, part) => words.toLowerCase().includes(part.trim().toLowerCase());
    return (
      (!this.pattern.value || line.pattern === this.pattern.value) &&
      (!this.kind.value || line.kind === this.kind.value) &&
      (!this.sender.value || has(line.sender, this.sender.value)) &&
      (!this.text.value || has(line.text, this.text.value) || has(line.id, this.text.value))
    );
  }

  #row(line) {
    const button = h(
      "button",
      { type: "button", class: "line", onclick: () => this.#open(button, line) },
      h("time", {}, clock(line.at)),
      h("span", { class: "way", data: { kind: line.kind } }, line.kind),
      tag(line.pattern),
      h("span", { class: "who", dir: "auto" }, line.readable ? line.sender : "unreadable"),
      h("span", { class: "by mono", title: line.instance }, line.instance.split("-").at(-1)),
      h("span", { class: "nr" }, line.count === null ? "" : `#${line.count}`),
      clip(line.text, "(empty)"),
    );
    return h("li", { data: { readable: line.readable } }, button);
  }

  #open(button, line) {
    return doing(button, async () => {
      const { seen, payload, truncated } = await get(`messages/${line.number}`);
      const facts = [
        ["Pattern", `${seen.pattern}, ${seen.kind}`],
        ["By", seen.instance],
        ["At", clock(seen.at)],
        ["Size", bytes(seen.size) + (truncated ? ", shown in part" : "")],
        ["Id", seen.id],
      ];
      dialogs.show(seen.readable ? `Message${seen.count === null ? "" : ` #${seen.count}`}` : "Unreadable message", facts, dialogs.pretty(payload));
    });
  }
}
