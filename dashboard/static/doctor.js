// What is wrong with the server or the services, and the remedy.

import { h } from "./dom.js";
import { empty, head, toast } from "./parts.js";

export const title = "Doctor";

const WORDS = { bad: "Urgent", warning: "Warning", note: "Note" };

export class Screen {
  constructor() {
    this.list = h("ul", { class: "findings" });
    this.well = empty("check", "All is well", "Eviction policy, persistence, buffers, memory, consumers, replicas and clocks were looked at, and are again every few seconds.");
    this.node = h("div", { class: "dims" }, head("Doctor", h("p", {}, "What the server and the services need, worst first.")), this.list, this.well);
    this.shown = "";
  }

  update({ findings }) {
    this.well.hidden = findings.length > 0;
    this.list.hidden = !findings.length;
    const now = JSON.stringify(findings);
    if (now === this.shown) return;
    this.shown = now;
    const focused = document.activeElement?.closest?.("[data-finding]")?.dataset.finding;
    this.list.replaceChildren(...findings.map(finding));
    if (focused) this.list.querySelector(`[data-finding="${CSS.escape(focused)}"] button`)?.focus();
  }
}

function finding({ id, level, title: what, detail, remedy, command }) {
  return h(
    "li",
    { class: "card finding", data: { level, finding: id } },
    h("span", { class: "level" }, WORDS[level]),
    h("div", {}, h("h2", {}, what), h("p", { class: "soft" }, detail), h("p", {}, remedy), command ? runnable(command) : null),
  );
}

function runnable(command) {
  const button = h("button", { type: "button", class: "row", "aria-label": `Copy: ${command}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      toast("Copied.");
    } catch {
      toast("The browser did not let the page copy; select the text instead.", "bad");
    }
  });
  return h("div", { class: "command" }, h("code", {}, command), button);
}
