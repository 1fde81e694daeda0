// The overview's first line: what is lost, in words; with both patterns, the exact difference.

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
    const [sent, pubsub, queue] = this.cells;
    put(sent.value, count(difference.sent));
    put(sent.label, "sent both ways");
    put(pubsub.value, count(difference.lost_pubsub));
    put(pubsub.label, "lost on pubsub");
    const unsure = uncertain(snapshot);
    put(queue.value, unsure ? `0–${count(difference.lost_queue)}` : count(difference.lost_queue));
    put(queue.label, "lost on the queue");
    pubsub.value.className = difference.lost_pubsub ? "bad" : "";
    queue.value.className = difference.lost_queue && !unsure ? "bad" : "";
  }
}

/** Whether a killed subscriber of the queue took counts with it, so that its losses are known only as "at most". */
function uncertain({ difference }) {
  return difference.lost_queue > 0 && !difference.lost_queue_certain;
}

/** The same ids on both paths: a control experiment. */
function compare(difference, snapshot) {
  const { sent, unheard, missed, lost_pubsub: pubsub, lost_queue: queue } = difference;
  if (!sent) return nothing(snapshot);
  if (!pubsub && !queue) {
    return ["So far the same on both paths.", "Stop a subscriber for a while, or restart Redis, and they differ: pubsub drops what is published meanwhile, the queue keeps it."];
  }
  const parts = [];
  if (unheard) parts.push(`${plural(unheard, "message")} had no subscriber`);
  const gaps = missed.filter((one) => one.missed);
  const total = gaps.reduce((all, one) => all + one.missed, 0);
  if (total) parts.push(`${plural(gaps.length, "subscriber")} missed ${count(total)} while away or too slow`);
  const why = parts.length ? `On pubsub ${parts.join("; ")}. ` : "";
  const kept = queue ? `The queue lost ${count(queue)}: taken by a subscriber that died with them.` : "The queue kept every message until a subscriber took it.";
  if (uncertain(snapshot)) {
    return [`pubsub lost ${count(pubsub)}, the queue ${count(queue)} at most.`, `${why}A subscriber was killed, and with it what it had in flight from the queue and the counts of its last second.`];
  }
  const gap = pubsub - queue;
  const title =
    gap > 0 ? `pubsub lost ${count(gap)} more than the queue.`
    : gap < 0 ? `The queue lost ${count(-gap)} more than pubsub.`
    : `Both lost ${count(pubsub)}.`;
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
  const running = snapshot.instances.some((one) => one.state !== "gone" && one.role !== "dashboard");
  return running
    ? ["Nothing has been sent yet.", "The services run. Send something under “Try it”, or start a publisher."]
    : ["No service is running yet.", "Start a publisher and a subscriber: docker compose up, or make demo."];
}
