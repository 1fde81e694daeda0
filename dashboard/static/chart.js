// A small line chart of the last minutes, by uPlot, in the page's own colours.

import { h, put } from "./dom.js";

const SPAN_SECONDS = 120;
const LEAST_SECONDS = 20;
const HEIGHT = 92;
const FONT = "11px Inter, system-ui, sans-serif";

const colours = new Set();
const repaint = () => colours.forEach((chart) => chart.paint());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });

/** A custom property may be light-dark(...), which a canvas does not understand: ask what it comes to. */
function colour(node, name) {
  const probe = node.appendChild(h("i"));
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export class Chart {
  /** `lines` are [{name, hue}]: a custom property each, the first is filled below; `unit(value)` is how it is said. */
  constructor(title, lines, unit) {
    this.unit = unit;
    this.lines = lines;
    this.values = lines.map(() => h("b", {}, "–"));
    const legend = lines.map((line, index) =>
      h("span", { class: index ? "other" : "first" }, `${line.name} `, this.values[index]),
    );
    this.plot = h("div", { class: "plot", "aria-hidden": "true" });
    this.node = h("section", { class: "chart", "aria-label": title }, h("h3", {}, ...legend), this.plot);
    this.data = [[], ...lines.map(() => [])];
    this.sizes = new ResizeObserver(() => this.#fit());
    this.sizes.observe(this.plot);
    colours.add(this);
  }

  close() {
    colours.delete(this);
    this.sizes.disconnect();
    this.chart?.destroy();
  }

  update(at, series) {
    const from = at.findIndex((moment) => moment > at.at(-1) - SPAN_SECONDS);
    this.data = [at.slice(Math.max(from, 0)), ...series.map((values) => values.slice(Math.max(from, 0)))];
    this.chart?.setData(this.data);
    this.#say(null);
  }

  paint() {
    this.chart?.destroy();
    this.chart = null;
    this.#fit();
  }

  #fit() {
    const width = this.plot.clientWidth;
    if (!width) return;
    if (this.chart) {
      if (this.chart.width !== width) this.chart.setSize({ width, height: HEIGHT });
    } else {
      this.chart = new uPlot(this.#options(width), this.data, this.plot);
    }
  }

  #say(index) {
    this.lines.forEach((_, line) => {
      const values = this.data[line + 1];
      put(this.values[line], this.unit(index === null ? values.at(-1) : values[index]));
    });
  }

  #options(width) {
    const faint = colour(this.node, "--faint");
    const grid = colour(this.node, "--line");
    const axis = { stroke: faint, font: FONT, ticks: { show: false }, grid: { stroke: grid, width: 1 } };
    const series = this.lines.map(({ hue }, index) => ({
      stroke: colour(this.node, hue),
      width: 1.6,
      points: { show: false },
      fill: index ? undefined : colour(this.node, hue).replace("rgb(", "rgba(").replace(")", ", 0.10)"),
    }));
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 12, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      select: { show: false },
      scales: {
        x: { range: (_, low, high) => [Math.min(low, high - LEAST_SECONDS), high] },
        y: { range: (_, __, high) => [0, high > 0 ? high * 1.15 : 1] },
      },
      axes: [
        {
          ...axis,
          size: 20,
          gap: 4,
          grid: { show: false },
          splits: ({ scales: { x } }) => (x.max - x.min > 75 ? [x.max - 60, x.max] : [x.max]),
          values: ({ scales: { x } }, splits) => splits.map((moment) => (x.max - moment < 1 ? "now" : "−1 min")),
        },
        { ...axis, size: 48, gap: 6, space: 26, values: (_, splits) => splits.map((value) => this.unit(value)) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(chart) => this.#say(chart.cursor.idx ?? null)] },
    };
  }
}
