// Which rows are ticked: a box in each row, and one in the heading for all that are shown.

import { h } from "./dom.js";

export class Selection {
  constructor(changed) {
    this.ids = new Set();
    this.changed = changed;
    this.boxes = new Map();
    this.head = h("input", { type: "checkbox", "aria-label": "Select all that are shown" });
    this.head.addEventListener("change", () => {
      for (const [id, box] of this.boxes) {
        box.checked = this.head.checked;
        this.#set(id, box.checked);
      }
      this.#tell();
    });
  }

  box(id, label) {
    if (!this.boxes.has(id)) {
      const box = h("input", { type: "checkbox", "aria-label": label });
      box.addEventListener("change", () => {
        this.#set(id, box.checked);
        this.#tell();
      });
      this.boxes.set(id, box);
    }
    return this.boxes.get(id);
  }

  /** Only these are still there. */
  keep(ids) {
    const there = new Set(ids);
    for (const id of this.boxes.keys()) {
      if (there.has(id)) continue;
      this.boxes.delete(id);
      this.ids.delete(id);
    }
    this.#tell();
  }

  #set(id, on) {
    if (on) this.ids.add(id);
    else this.ids.delete(id);
  }

  #tell() {
    this.head.checked = this.boxes.size > 0 && this.ids.size === this.boxes.size;
    this.head.indeterminate = this.ids.size > 0 && this.ids.size < this.boxes.size;
    this.changed([...this.ids]);
  }
}
