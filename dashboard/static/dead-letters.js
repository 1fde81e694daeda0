// Dead letters: why, since when, and what can be done about them.

import { get, post } from "./api.js";
import * as dialogs from "./dialogs.js";
import { h, put } from "./dom.js";
import { bytes, count, plural, seconds } from "./format.js";
import { clip, doing, empty, toast } from "./parts.js";
import { Table } from "./rows.js";
import { Selection } from "./selection.js";

const PAGE = 50;
const REASONS = ["failed", "crashed", "unreadable"];

/** The text of a message, or the bytes of what is none. */
export function words({ payload, truncated }) {
  if (!truncated) {
    try {
      const { message } = JSON.parse(payload);
      if (typeof message === "string") return message;
    } catch {
      // then as it is
    }
  }
  return payload;
}

export class DeadLettersTab {
  constructor(view, mayWrite, refresh) {
    this.path = `dead/${view.name}`;
    this.where = { name: view.key, group: view.group };
    this.mayWrite = mayWrite;
    this.refresh = refresh;
    this.wanted = PAGE;
    this.deadLetters = [];
    this.total = 0;
    this.selection = new Selection(() => this.#bar());
    this.reason = h("select", { "aria-label": "Reason", onchange: () => this.load() }, h("option", { value: "" }, "Every reason"), ...REASONS.map((reason) => h("option", { value: reason }, reason)));
    this.requeue = h("button", { type: "button", onclick: () => this.#requeue(this.#choice()) });
    this.purge = h("button", { type: "button", class: "danger", onclick: () => this.#purge(this.#choice()) });
    this.more = h("button", { type: "button", onclick: () => this.#more() }, "Show more");
    this.table = new Table({
      caption: "Dead letters",
      columns: [
        { label: "Select", head: this.selection.head, tick: true },
        { label: "Message", wide: true },
        { label: "Reason" },
        { label: "Error", wide: true },
        { label: "Attempts", number: true },
        { label: "Age", number: true },
        { label: "", wide: true },
      ],
      key: (deadLetter) => deadLetter.id,
      render: (deadLetter, row) => this.#cells(deadLetter, row),
    });
    this.bar = h("div", { class: "bar" }, this.reason, h("span", { class: "grow" }), this.requeue, this.purge);
    this.empty = empty("envelope", "No dead letters", "A message that fails too often, or that cannot be read, is set aside here with the reason.");
    this.none = empty("envelope", "None for this reason", "Choose another reason above.");
    this.node = h("div", {}, this.bar, this.table.node, h("p", { class: "after" }, this.more), this.empty, this.none);
    this.empty.hidden = this.none.hidden = this.table.node.hidden = this.more.hidden = this.bar.hidden = true;
  }

  async load() {
    try {
      let page = { next: null };
      let after;
      const deadLetters = [];
      do {
        page = await get(this.path, { ...this.where, limit: PAGE, reason: this.reason.value, after });
        deadLetters.push(...page.dead_letters);
        after = page.next;
      } while (after && deadLetters.length < this.wanted);
      this.deadLetters = deadLetters;
      this.total = page.total;
      this.more.hidden = !page.next;
    } catch (problem) {
      if (problem.status !== 503) toast(problem.message, "bad"); // the banner says that Redis is away
      return;
    }
    this.#draw();
  }

  tick() {
    this.table.update(this.deadLetters);
  }

  #draw() {
    this.empty.hidden = this.total > 0;
    this.none.hidden = !this.total || this.deadLetters.length > 0;
    this.table.node.hidden = !this.deadLetters.length;
    this.bar.hidden = !this.total;
    this.table.update(this.deadLetters);
    this.selection.keep(this.deadLetters.map((deadLetter) => deadLetter.id));
  }

  #bar() {
    const chosen = this.selection.ids.size;
    const what = chosen ? `${count(chosen)} selected` : this.reason.value ? `all ${this.reason.value}` : "all";
    put(this.requeue, `Requeue ${what}`);
    put(this.purge, `Delete ${what}…`);
    this.requeue.hidden = this.purge.hidden = !this.mayWrite();
  }

  #choice() {
    if (this.selection.ids.size) return { ids: [...this.selection.ids].slice(0, 1000) };
    return this.reason.value ? { reason: this.reason.value } : { all: true };
  }

  async #requeue(choice, button = this.requeue) {
    const done = await doing(button, () => post(`${this.path}/requeue`, choice, this.where));
    if (done) toast(done.said);
    await this.refresh();
  }

  async #purge(choice, button = this.purge) {
    const which = choice.ids ? plural(choice.ids.length, "dead letter") : choice.reason ? `all dead letters that are ${choice.reason}` : `all ${count(this.total)} dead letters`;
    if (!(await dialogs.confirm(`Delete ${which}?`, "They are gone for good. To try them again instead, requeue them.", "Delete"))) return;
    const done = await doing(button, () => post(`${this.path}/purge`, choice, this.where));
    if (done) toast(done.said);
    await this.refresh();
  }

  #more() {
    this.wanted += PAGE;
    return this.load();
  }

  #cells(deadLetter, row) {
    const parts = (row.parts ??= this.#parts(deadLetter));
    const tries = deadLetter.crashes ? `${deadLetter.attempts} + ${plural(deadLetter.crashes, "crash", "crashes")}` : String(deadLetter.attempts);
    return [parts.box, parts.deadLetter, parts.reason, parts.error, tries, seconds(this.now - deadLetter.at), parts.actions];
  }

  #parts(deadLetter) {
    const text = words(deadLetter);
    const one = { ids: [deadLetter.id] };
    const button = (label, kind, work) => {
      const node = h("button", { type: "button", class: `row ${kind}`, "aria-label": `${label}: ${text.slice(0, 60)}` }, label);
      node.addEventListener("click", () => work(node));
      return node;
    };
    const open = h("button", { type: "button", class: "plain", onclick: () => this.#show(open, deadLetter) }, clip(text, "(empty)"));
    const actions = [button("Requeue", "", (node) => this.#requeue(one, node)), button("Edit", "", (node) => this.#edit(node, deadLetter)), button("Delete", "danger", (node) => this.#purge(one, node))];
    return {
      box: this.selection.box(deadLetter.id, `Select: ${text.slice(0, 60)}`),
      deadLetter: h("span", { class: "cell" }, open, h("span", { class: "sub" }, deadLetter.sender ? h("span", { dir: "auto" }, `from ${deadLetter.sender}`) : "no readable sender", ` · ${bytes(deadLetter.size)}`)),
      reason: h("span", { class: "reason", data: { reason: deadLetter.reason } }, deadLetter.reason),
      error: h("span", { class: "cell" }, clip(deadLetter.error, "–"), deadLetter.by ? h("span", { class: "sub mono" }, deadLetter.by) : null),
      actions: h("div", { class: "actions" }, ...(this.mayWrite() ? actions : [])),
    };
  }

  #show(button, deadLetter) {
    return doing(button, async () => {
      const whole = await get(`${this.path}/${deadLetter.id}`, this.where);
      const past = whole.history.map((death) => `${death.reason ?? "?"}: ${death.error ?? ""}`).join("; ");
      const facts = [["Reason", whole.reason], ["Error", whole.error], ["Attempts", String(whole.attempts)], ["Crashes", whole.crashes ? String(whole.crashes) : ""], ["Given up by", whole.by], ["Earlier deaths", past], ["Size", bytes(whole.size) + (whole.truncated ? ", shown in part" : "")], ["Message id", whole.message_id]];
      dialogs.show("Dead letter", facts, dialogs.pretty(whole.payload));
    });
  }

  #edit(button, deadLetter) {
    return doing(button, async () => {
      const whole = await get(`${this.path}/${deadLetter.id}`, this.where);
      if (whole.truncated) throw new Error(`It has ${bytes(whole.size)}, more than can be edited here (MAX_MESSAGE_BYTES).`);
      dialogs.edit("Edit and requeue", "The dead letter goes back to where it came from, with this content.", whole.payload, "Requeue", async (payload) => {
        const done = await post(`${this.path}/${deadLetter.id}/edit`, { payload }, this.where);
        toast(done.said);
        await this.refresh();
      });
    });
  }
}
