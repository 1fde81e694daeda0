// What waits for its time: delayed by its sender, or failed and to be tried again.

import { get, post } from "./api.js";
import * as dialogs from "./dialogs.js";
import { h, put } from "./dom.js";
import { bytes, count, plural, seconds } from "./format.js";
import { words } from "./dead-letters.js";
import { clip, doing, empty, toast } from "./parts.js";
import { Table } from "./rows.js";
import { Selection } from "./selection.js";

const PAGE = 100;

export class ScheduledTab {
  constructor(view, mayWrite, refresh) {
    this.path = `scheduled/${view.name}`;
    this.where = { name: view.key, group: view.group };
    this.mayWrite = mayWrite;
    this.refresh = refresh;
    this.messages = [];
    this.selection = new Selection(() => this.#bar());
    this.now_ = h("button", { type: "button", onclick: () => this.#now([...this.selection.ids], this.now_) });
    this.purge = h("button", { type: "button", class: "danger", onclick: () => this.#purge([...this.selection.ids], this.purge) });
    this.note = h("span", { class: "soft small" });
    this.table = new Table({
      caption: "Scheduled messages",
      columns: [
        { label: "Select", head: this.selection.head, tick: true },
        { label: "Message", wide: true },
        { label: "Due", number: true },
        { label: "Why" },
        { label: "Priority", number: true },
        { label: "", wide: true },
      ],
      key: (one) => one.member || `${one.due}-${one.message_id}`,
      render: (one, row) => this.#cells(one, row),
    });
    this.bar = h("div", { class: "bar" }, this.note, h("span", { class: "grow" }), this.now_, this.purge);
    this.empty = empty("envelope", "Nothing is scheduled", "Delayed messages, and those that failed and will be tried again, wait here. Send one with a delay under “Try it”.");
    this.node = h("div", {}, this.bar, this.table.node, this.empty);
    this.empty.hidden = this.table.node.hidden = this.bar.hidden = true;
  }

  async load() {
    try {
      const { messages, total } = await get(this.path, { ...this.where, limit: PAGE });
      this.messages = messages;
      put(this.note, total > messages.length ? `The next ${count(messages.length)} of ${count(total)}` : "");
      this.empty.hidden = total > 0;
      this.table.node.hidden = this.bar.hidden = !messages.length;
      this.tick();
      this.selection.keep(messages.filter((one) => one.member).map((one) => one.member));
    } catch (problem) {
      if (problem.status !== 503) toast(problem.message, "bad");
    }
  }

  tick() {
    this.table.update(this.messages);
  }

  #bar() {
    const chosen = this.selection.ids.size;
    put(this.now_, `Hand out now${chosen ? ` (${count(chosen)})` : ""}`);
    put(this.purge, `Delete${chosen ? ` (${count(chosen)})` : ""}…`);
    this.now_.disabled = this.purge.disabled = !chosen;
    this.now_.hidden = this.purge.hidden = !this.mayWrite();
  }

  async #now(members, button) {
    const done = await doing(button, () => post(`${this.path}/now`, { members }, this.where));
    if (done) toast(done.said);
    await this.refresh();
  }

  async #purge(members, button) {
    const sure = await dialogs.confirm(`Delete ${plural(members.length, "scheduled message")}?`, "No subscriber will get them.", "Delete");
    if (!sure) return;
    const done = await doing(button, () => post(`${this.path}/purge`, { members }, this.where));
    if (done) toast(done.said);
    await this.refresh();
  }

  #cells(one, row) {
    const parts = (row.parts ??= this.#parts(one));
    const left = one.due - this.now;
    return [parts.box, parts.message, left > 0 ? `in ${seconds(left)}` : "due", one.attempts ? `failed ${plural(one.attempts, "time")}` : one.attempts === 0 ? "delayed" : "–", one.priority ? String(one.priority) : "–", parts.actions];
  }

  #parts(one) {
    const text = words(one);
    const now = h("button", { type: "button", class: "row", "aria-label": `Hand out now: ${text.slice(0, 60)}` }, "Now");
    const purge = h("button", { type: "button", class: "row danger", "aria-label": `Delete: ${text.slice(0, 60)}` }, "Delete");
    now.addEventListener("click", () => this.#now([one.member], now));
    purge.addEventListener("click", () => this.#purge([one.member], purge));
    const open = h("button", { type: "button", class: "plain", onclick: () => dialogs.show("Scheduled message", [["Size", bytes(one.size) + (one.truncated ? ", shown in part" : "")], ["Message id", one.message_id]], dialogs.pretty(one.payload)) }, clip(text, "(empty)"));
    return {
      box: one.member ? this.selection.box(one.member, `Select: ${text.slice(0, 60)}`) : h("span"),
      message: h("span", { class: "cell" }, open, h("span", { class: "sub", dir: "auto" }, one.sender ? `from ${one.sender}` : "no readable sender")),
      actions: h("div", { class: "actions" }, ...(one.member && this.mayWrite() ? [now, purge] : [])),
    };
  }
}
