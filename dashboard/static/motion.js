// One clock for everything that moves; it stops while the page is hidden.

import { reducedMotion } from "./dom.js";

const FRAME_MS = 30;
const movers = new Set();
let last = 0;
let asked = 0;

function turn(now) {
  asked = 0;
  if (now - last >= FRAME_MS) {
    const seconds = Math.min((now - last) / 1000, 0.1);
    last = now;
    for (const mover of movers) mover(seconds);
  }
  ask();
}

function ask() {
  if (!asked && movers.size && !reducedMotion.matches) asked = requestAnimationFrame(turn);
}

/** `mover(seconds)` about thirty times a second, until the returned function is called. */
export function move(mover) {
  movers.add(mover);
  ask();
  return () => movers.delete(mover);
}

reducedMotion.addEventListener("change", ask);
