// Small things that several screens show.

import { emblem } from "./art.js";
import { h } from "./dom.js";

export function tag(pattern) {
  return h("span", { class: "tag", data: { pattern } }, pattern);
}

/** What is not there, and what to do next; a string in the hint that stands between backquotes is code. */
export function empty(picture, title, hint) {
  const words = hint.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
  return h("div", { class: "card empty" }, emblem(picture), h("h2", {}, title), h("p", {}, ...words));
}

export function head(title, ...rest) {
  return h("header", { class: "head" }, h("h1", {}, title), ...rest);
}

/** Text of strangers on one line, with its own direction. */
export function clip(words, otherwise = "") {
  return h("span", { class: "clip", dir: "auto", title: words.slice(0, 400) }, words || otherwise);
}

/** Say it at the edge of the page for a while, and to a screen reader. */
export function toast(words, tone = "") {
  const node = h("div", { class: "toast", data: { tone } }, words);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), tone === "bad" ? 9000 : 5000);
}

/** Run what a button asks for: not twice at once, and with its problem shown. */
export async function doing(button, work) {
  button.disabled = true;
  try {
    return await work();
  } catch (problem) {
    toast(problem.message, "bad");
    return null;
  } finally {
    button.disabled = false;
  }
}
