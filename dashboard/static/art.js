// The drawings of the overview: a bell, an office, a ledger, houses and those who write.

import { svg } from "./dom.js";

export const FRAME = { width: 116, height: 84 };

const BELL =
  "M-15 12c4-3 4-8 4-14a11 11 0 0 1 22 0c0 6 0 11 4 14zM-4 17a4.3 4.3 0 0 0 8 0";
const WAVES = [
  ["M21-10a16 16 0 0 1 0 18", "M-21-10a16 16 0 0 0 0 18"],
  ["M28-15a25 25 0 0 1 0 28", "M-28-15a25 25 0 0 0 0 28"],
];

/** Pub/sub keeps nothing: sound waves, nothing on paper. */
function bell() {
  const waves = WAVES.map((pair) => svg("g", { class: "wave" }, ...pair.map((d) => svg("path", { d }))));
  const node = svg("g", { class: "art" }, svg("path", { d: BELL }), ...waves);
  return { node, waves, slots: [] };
}

/** Pigeonholes that fill with what waits. */
function pigeonholes() {
  const slots = [];
  const node = svg("g", { class: "art" });
  for (let row = 0; row < 3; row += 1) {
    for (let column = 0; column < 4; column += 1) {
      const x = -45 + column * 23;
      const y = -27 + row * 19;
      const slot = svg("rect", { class: "slot", x, y, width: 20, height: 14, rx: 2 });
      const flap = svg("path", { class: "flap", d: `M${x + 1.5} ${y + 1.5}l8.5 6.5 8.5-6.5` });
      slots.push(slot);
      node.append(slot, flap);
    }
  }
  return { node, waves: [], slots };
}

/** A ledger: what was written stays. */
function ledger() {
  const slots = [];
  const node = svg("g", { class: "art" });
  for (let row = 0; row < 5; row += 1) {
    const y = -28 + row * 12.5;
    const slot = svg("rect", { class: "slot", x: -45, y, width: 89, height: 8, rx: 2 });
    slots.push(slot);
    node.append(slot);
  }
  return { node, waves: [], slots };
}

const ART = { pubsub: bell, queue: pigeonholes, reliable: pigeonholes, stream: ledger };

export function art(pattern) {
  return (ART[pattern] ?? pigeonholes)();
}

export function house() {
  return svg(
    "g",
    {},
    svg("path", { class: "house", d: "M-12 11V-2L0-12 12-2v13z" }),
    svg("rect", { class: "door", x: -3, y: 3, width: 6, height: 8, rx: 1 }),
  );
}

export function writer() {
  return svg(
    "g",
    { class: "art" },
    svg("circle", { cx: 0, cy: -8, r: 6.5 }),
    svg("path", { d: "M-12 12a12 11 0 0 1 24 0z" }),
  );
}

export const EMPTY = {
  envelope: ["M4 12h36v24H4z", "m5 13 17 13 17-13"],
  bell: ["M10 31c4-3 4-9 4-15a8 8 0 0 1 16 0c0 6 0 12 4 15z", "M19 35a3.4 3.4 0 0 0 6 0"],
  house: ["M8 38V20L22 8l14 12v18z", "M18 38V27h8v11"],
  check: ["M22 5a17 17 0 1 1 0 34 17 17 0 0 1 0-34z", "m14 22 6 6 11-12"],
};

export function emblem(name) {
  return svg(
    "svg",
    { viewBox: "0 0 44 44", "aria-hidden": "true" },
    ...EMPTY[name].map((d) => svg("path", { d })),
  );
}
