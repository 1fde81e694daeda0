// The overview's first line: how things stand, in words; with both patterns, the exact difference.

import { h, put } from "./dom.js";
import { count, plural } from "./format.js";

export class Verdict {
  constructor() {
    this.title = h("h1");
    this.detail = h("p");
    this.figures = h("div", { class: "versus" });
    this.cells = ["sent", "pubsub", "queue"].map(() => ({ value: h("b"), label: h("span") }));
    for (const { value, label } of this.cells) this.figures.append(h("div", {}, value, label));
    this.node = h("section", { class: "card verdict" }, h("div", { class: "words" }, this.title, this.detail), this.figures);
  }

  update(snapshot) {
    const { difference } = snapshot;
    const [title, detail] = difference ? compare(difference, snapshot) : sum(snapshot);
    put(this.title, title);
    put(this.detail, detail);
    this.figures.hidden = !difference;
    if (!difference) return;
    const [sent, crier, office] = this.cells;
    put(sent.value, count(difference.sent));
    put(sent.label, "sent both ways");
    put(crier.value, count(difference.lost_pubsub));
    put(crier.label, "lost by the crier");
    const unsure = uncertain(snapshot);
    put(office.value, unsure ? `0–${count(difference.lost_queue)}` : count(difference.lost_queue));
    put(office.label, "lost by the post office");
    crier.value.className = difference.lost_pubsub ? "bad" : "";
    office.value.className = difference.lost_queue && !unsure ? "bad" : "";
  }
}

/** Whether a killed subscriber of the queue took counts with it, so that its losses are known only as "at most". */
function uncertain({ difference }) {
  return difference.lost_queue > 0 && !difference.lost_queue_certain;
}

/** The same ids on both paths: a control experiment. */
function compare(difference, snapshot) {
  const { sent, unheard, missed, lost_pubsub: crier, lost_queue: office } = difference;
  if (!sent) return nothing(snapshot);
  if (!crier && !office) {
    return ["So far the same on both paths.", "Stop a subscriber for a while, or restart Redis, and the two part: what the crier cries meanwhile is gone, the post office keeps it."];
  }
  const parts = [];
  if (unheard) parts.push(`${plural(unheard, "message")} went out while nobody listened`);
  const deaf = missed.filter((one) => one.missed);
  const total = deaf.reduce((all, one) => all + one.missed, 0);
  if (total) parts.push(`${plural(deaf.length, "subscriber")} missed ${count(total)} while away or too slow`);
  const why = parts.length ? `On pubsub ${parts.join("; ")}. ` : "";
  const kept = office ? `The queue lost ${count(office)}: taken by a subscriber that died with them.` : "The queue kept every one of them until somebody came.";
  if (uncertain(snapshot)) {
    return [`The crier lost ${count(crier)}, the post office ${count(office)} at most.`, `${why}A subscriber was killed, and with it what it had in flight from the queue and the counts of its last second.`];
  }
  const gap = crier - office;
  const title =
    gap > 0 ? `The crier lost ${count(gap)} more than the post office.`
    : gap < 0 ? `The post office lost ${count(-gap)} more than the crier.`
    : `Both lost ${count(crier)}.`;
  return [title, why + kept];
}

function sum(snapshot) {
  const sent = snapshot.patterns.reduce((all, view) => all + view.totals.sent, 0);
  if (!sent) return nothing(snapshot);
  const unsure = snapshot.patterns.filter((view) => view.lost && !view.lost_certain);
  const lossy = snapshot.patterns.filter((view) => view.lost && view.lost_certain);
  if (!lossy.length && unsure.length) {
    const most = unsure.reduce((all, view) => all + view.lost, 0);
    return [`${plural(most, "message")} lost at most.`, `${places(unsure)}. A subscriber was killed, and with it the counts of its last second; what it had in flight from a queue is gone.`];
  }
  if (!lossy.length) return ["Nothing is lost.", "Every message that Redis acknowledged was handled, waits, or is in flight."];
  const total = lossy.reduce((all, view) => all + view.lost, 0);
  return [`${plural(total, "message")} lost.`, `${places(lossy)}. The doctor and the instances say what happened.`];
}

/** How many on which. */
function places(views) {
  return views.map((view) => `${count(view.lost)} on ${view.name} ‘${view.key}’`).join(", ");
}

function nothing(snapshot) {
  const someone = snapshot.instances.some((one) => one.state !== "gone" && one.role !== "dashboard");
  return someone
    ? ["Nothing has been sent yet.", "The services are here. Send something under “Try it”, or start a publisher."]
    : ["Nobody is here yet.", "Start a publisher and a subscriber: docker compose up, or make demo."];
}
