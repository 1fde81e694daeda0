// A table body that is brought up to date row by row: what has the focus keeps it, what is selected stays selected.

import { h, put } from "./dom.js";

/** A cell is a string, a node, or `{text, sub, class, node}`. */
export class Table {
  /** `columns` are {label, head, number, wide, tick}; `render(item)` gives one cell for each; `key(item)` names the row. */
  constructor({ columns, key, render, caption, decorate }) {
    this.columns = columns;
    this.key = key;
    this.render = render;
    this.decorate = decorate;
    this.rows = new Map();
    this.body = h("tbody");
    this.headings = columns.map((column) => {
      const label = column.head ?? column.label;
      return h("th", { scope: "col", class: column.number ? "number" : null }, label);
    });
    this.table = h(
      "table",
      { class: "stacks", "aria-label": caption },
      h("thead", {}, h("tr", {}, ...this.headings)),
      this.body,
    );
    this.node = h("div", { class: "card scroll", tabindex: 0, role: "region", "aria-label": caption }, this.table);
  }

  update(items) {
    const keys = new Set(items.map(this.key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.node.remove();
      this.rows.delete(key);
    }
    items.forEach((item, index) => {
      const key = this.key(item);
      const row = this.rows.get(key) ?? this.#row(key);
      this.render(item, row.node).forEach((cell, column) => fill(row.cells[column], cell));
      this.decorate?.(row.node, item);
      if (this.body.children[index] !== row.node) this.body.insertBefore(row.node, this.body.children[index] ?? null);
    });
  }

  #row(key) {
    const cells = this.columns.map((column) =>
      h("td", {
        class: [column.number && "number", column.wide && "wide", column.tick && "tick"].filter(Boolean).join(" ") || null,
        "data-label": column.label,
      }),
    );
    const row = { node: h("tr", {}, ...cells), cells };
    this.rows.set(key, row);
    return row;
  }
}

function fill(cell, content) {
  if (content instanceof Node) {
    if (cell.firstChild !== content) cell.replaceChildren(content);
  } else if (content !== undefined) {
    put(cell, content);
  }
}
