// Windows over the page: native <dialog>, so that Escape, the focus and screen readers do what they should.

import { h } from "./dom.js";
import { toast } from "./parts.js";

function open(dialog) {
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.showModal();
  return dialog;
}

/** Whether the answer was yes. For what cannot be undone. */
export function confirm(question, detail, yes) {
  return new Promise((resolve) => {
    const cancel = h("button", { type: "submit", value: "no", autofocus: true }, "Cancel");
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: "confirm-title" }, question),
      h("p", { class: "soft" }, detail),
      h("div", { class: "buttons" }, cancel, h("button", { type: "submit", value: "yes", class: "danger main" }, yes)),
    );
    const dialog = h("dialog", { class: "narrow", "aria-labelledby": "confirm-title" }, form);
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
  });
}

/** JSON as it was written, indented where it can be read. */
export function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return payload;
  }
}

export function show(title, facts, payload, ...buttons) {
  const close = h("button", { type: "button" }, "Close");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "show-title" },
    h(
      "div",
      { class: "inside" },
      h("h2", { id: "show-title" }, title),
      h("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value)))),
      h("pre", { dir: "auto", tabindex: 0 }, payload),
      h("div", { class: "buttons" }, copier(payload), ...buttons.map((make) => make(() => dialog.close())), close),
    ),
  );
  close.addEventListener("click", () => dialog.close());
  return open(dialog);
}

function copier(payload) {
  const button = h("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(payload);
      button.textContent = "Copied";
    } catch {
      toast("The browser did not let the page copy; select the text instead.", "bad");
    }
  });
  return button;
}

/** Change a payload and hand it to `save(payload)`; stays open, with the problem, until that succeeds. */
export function edit(title, hint, payload, yes, save) {
  const area = h("textarea", { rows: 14, spellcheck: "false", "aria-label": "The message as JSON" });
  area.value = pretty(payload);
  const problem = h("p", { class: "bad small", role: "alert" });
  const go = h("button", { type: "submit", class: "main" }, yes);
  const cancel = h("button", { type: "button" }, "Cancel");
  const form = h("form", {}, h("h2", { id: "edit-title" }, title), h("p", { class: "soft small" }, hint), area, problem, h("div", { class: "buttons" }, cancel, go));
  const dialog = h("dialog", { "aria-labelledby": "edit-title" }, form);
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    problem.textContent = "";
    try {
      await save(area.value);
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      go.disabled = false;
    }
  });
  return open(dialog);
}
