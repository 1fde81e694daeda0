// Send something and see where it goes.

import { get, post } from "./api.js";
import { h, put } from "./dom.js";
import { count, plural } from "./format.js";
import { doing, empty, head, tag } from "./parts.js";

export const title = "Try it";

const LOOK_MS = 500;
const FOLLOWED = 8;

export class Screen {
  constructor(app) {
    this.app = app;
    this.patterns = h("div", { class: "choices", role: "group", "aria-label": "Patterns" });
    this.text = h("textarea", { rows: 3, required: true, maxlength: 100_000 });
    this.text.value = "Hear ye, hear ye! #N";
    this.priority = h("input", { type: "number", min: 0, max: 9, placeholder: "none" });
    this.delay = h("input", { type: "number", min: 0, max: 86_400, step: "any", placeholder: "none" });
    this.burst = h("input", { type: "number", min: 1, value: 1, required: true });
    this.over = h("input", { type: "number", min: 0, max: 600, step: "any", value: 0, required: true });
    this.schedules = h("fieldset", {}, field("Priority", this.priority, "0 to 9, higher first"), field("Delay", this.delay, "seconds"));
    this.go = h("button", { type: "submit", class: "main", disabled: true }, "Send");
    this.form = h(
      "form",
      { class: "card tryit" },
      h("div", { class: "field" }, h("span", { class: "name" }, "Send by"), this.patterns),
      field("Text", this.text, "#N becomes the running number"),
      h("div", { class: "pairs" }, field("How many", this.burst, "a burst"), field("Over", this.over, "seconds; 0: at once")),
      this.schedules,
      h("div", { class: "buttons" }, this.go),
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      doing(this.go, () => this.#send());
    });
    this.closed = h("p", { class: "card note" }, "This dashboard is read-only: DASHBOARD_WRITE is off. From a shell: ", h("code", {}, "python -m publisher \"Good morning\""));
    this.results = h("ol", { class: "results" });
    this.hint = empty("bell", "Nothing sent from here yet", "What you send, what Redis answers and who gets it shows up here.");
    this.followed = [];
    this.names = "";
    this.node = h("div", {}, head("Try it", h("p", {}, "Send something, and see where it goes.")), h("div", { class: "halves" }, h("div", {}, this.form, this.closed), h("section", { "aria-label": "What was sent" }, this.hint, this.results)));
    this.session(app.session);
  }

  close() {
    clearTimeout(this.timer);
  }

  session(session) {
    const write = Boolean(session?.write);
    this.form.hidden = !write;
    this.closed.hidden = write || !session;
    if (session) this.burst.max = session.max_burst;
  }

  update(snapshot) {
    const patterns = [...new Set(snapshot.patterns.map((view) => view.name))];
    const names = patterns.join();
    if (names === this.names) return;
    this.names = names;
    const boxes = patterns.map((name, index) => {
      const box = h("input", { type: "checkbox", name: "pattern", value: name, checked: index < 2, onchange: () => this.#offer() });
      return h("label", {}, box, tag(name));
    });
    this.patterns.replaceChildren(...boxes);
    this.#offer();
  }

  seen(lines) {
    for (const sent of this.followed) sent.look(lines);
  }

  #chosen() {
    return [...this.patterns.querySelectorAll("input:checked")].map((box) => box.value);
  }

  #offer() {
    const able = new Set(this.app.snapshot.patterns.filter((view) => view.schedules).map((view) => view.name));
    const chosen = this.#chosen();
    // what a pattern cannot do is not offered, or the whole would be refused
    this.schedules.hidden = !chosen.length || !chosen.every((name) => able.has(name));
    this.go.disabled = !chosen.length;
  }

  async #send() {
    const number = (input) => (input.value === "" || this.schedules.hidden ? null : Number(input.value));
    const chosen = this.#chosen();
    const asked = { pattern: chosen.join(","), text: this.text.value, priority: number(this.priority), delay: number(this.delay), count: Number(this.burst.value), seconds: Number(this.over.value) };
    const result = new Sent(asked, chosen);
    const answer = await post("publish", asked);
    result.say(answer);
    result.look(this.app.feed);
    this.hint.hidden = true;
    this.results.prepend(result.node);
    this.followed = [result, ...this.followed].slice(0, FOLLOWED);
    while (this.results.children.length > FOLLOWED) this.results.lastChild.remove();
    this.#watch();
  }

  #watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const open = this.followed.filter((sent) => !sent.finished);
      for (const sent of open) {
        const news = await get(`bursts/${sent.number}`).catch(() => null);
        if (news) sent.say(news);
        else sent.finished = true;
      }
      if (open.length) this.#watch();
    }, LOOK_MS);
  }
}

/** One thing that was sent from here, and where it went. */
class Sent {
  constructor({ text, count: asked }, patterns) {
    this.asked = asked;
    this.ids = new Set();
    this.got = new Map(patterns.map((name) => [name, new Map()]));
    this.lines = new Map(patterns.map((name) => [name, { said: h("span"), warning: h("span", { class: "warn" }), got: h("span", { class: "got" }) }]));
    this.progress = h("span", { class: "soft" });
    this.problem = h("p", { class: "bad", role: "alert" });
    this.node = h(
      "li",
      { class: "card sent" },
      h("p", { class: "what" }, h("span", { class: "clip", dir: "auto" }, text), this.progress),
      ...patterns.map((name) => {
        const { said, warning, got } = this.lines.get(name);
        return h("div", { class: "went" }, tag(name), h("div", {}, said, warning, got));
      }),
      this.problem,
    );
  }

  say({ number, ids, asked, sent, finished, went, problem }) {
    this.number = number;
    this.finished = finished;
    for (const id of ids) this.ids.add(id);
    put(this.progress, asked > 1 ? (finished ? plural(sent, "message") : `${count(sent)} of ${count(asked)} sent`) : "");
    for (const { pattern, unheard, said, warning } of went) {
      const line = this.lines.get(pattern);
      if (!line) continue;
      put(line.said, asked > 1 && unheard ? `${said}; ${count(unheard)} had no subscriber` : said);
      put(line.warning, warning);
    }
    put(this.problem, problem);
  }

  /** Who was seen to receive it. */
  look(lines) {
    for (const line of lines) {
      if (line.kind !== "received" || !this.ids.has(line.id)) continue;
      const names = this.got.get(line.pattern);
      if (!names) continue;
      const who = names.get(line.instance) ?? new Set();
      names.set(line.instance, who.add(line.id));
      const seen = [...names].map(([name, ids]) => (ids.size > 1 ? `${name} (${ids.size})` : name));
      put(this.lines.get(line.pattern).got, `received by ${seen.join(", ")}`);
    }
  }
}

function field(name, input, hint) {
  return h("label", { class: "field" }, name, input, h("small", {}, hint));
}
