// Messages on their way: a bounded number of dots along curves.

import { svg } from "./dom.js";

const MOST = 44;
const TRAVEL_SECONDS = 1.1;
const FALL_SECONDS = 0.9;

/** A road from a to b that leaves and arrives level; as path data. */
export function road(a, b) {
  const middle = (a.x + b.x) / 2;
  return `M${a.x} ${a.y}C${middle} ${a.y} ${middle} ${b.y} ${b.x} ${b.y}`;
}

function at(a, b, share) {
  const rest = 1 - share;
  const middle = (a.x + b.x) / 2;
  const near = 3 * rest * rest * share;
  const far = 3 * rest * share * share;
  return {
    x: rest ** 3 * a.x + (near + far) * middle + share ** 3 * b.x,
    y: (rest ** 3 + near) * a.y + (far + share ** 3) * b.y,
  };
}

export class Dots {
  constructor(layer) {
    this.layer = layer;
    this.moving = [];
    this.spare = [];
  }

  /** Send one from a to b; `done` is called on arrival. Refused (false) when there are enough on the road. */
  send(a, b, kind = "", done = null) {
    if (this.moving.length >= MOST) return false;
    this.#start({ a, b, kind, done, fall: false });
    return true;
  }

  /** Let one drop to the ground at a. */
  fall(a) {
    if (this.moving.length < MOST) this.#start({ a, b: { x: a.x, y: a.y + 46 }, kind: "lost", done: null, fall: true });
  }

  advance(seconds) {
    const still = [];
    // the loop also meets those that an arrival has just sent on
    for (const dot of this.moving) {
      dot.share += seconds / (dot.fall ? FALL_SECONDS : TRAVEL_SECONDS);
      if (dot.share < 1) {
        this.#place(dot);
        still.push(dot);
      } else {
        dot.node.remove();
        this.spare.push(dot.node);
        dot.done?.();
      }
    }
    this.moving = still;
  }

  clear() {
    for (const { node } of this.moving) node.remove();
    this.moving = [];
  }

  #start(dot) {
    const node = this.spare.pop() ?? svg("circle", { r: 4 });
    node.setAttribute("class", `dot ${dot.kind}`);
    this.layer.append(node);
    const moving = { ...dot, node, share: 0 };
    this.moving.push(moving);
    this.#place(moving);
  }

  #place({ node, a, b, share, fall }) {
    const eased = share * share * (3 - 2 * share);
    const point = fall ? { x: a.x, y: a.y + (b.y - a.y) * share * share } : at(a, b, eased);
    node.setAttribute("transform", `translate(${point.x.toFixed(1)} ${point.y.toFixed(1)})`);
    node.setAttribute("opacity", fall ? String(1 - share * share) : "1");
  }
}
