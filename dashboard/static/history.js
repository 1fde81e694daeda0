// The last five minutes, for charts: what the server remembers, then what comes in.

const KEPT = 300;
const SERIES = ["sent_rate", "received_rate", "handled_rate", "depth", "p50_ms", "p99_ms"];

export class History {
  constructor() {
    this.at = [];
    this.paths = new Map();
  }

  /** What the server remembers; what has come in since stays behind it. */
  begin({ at, paths }) {
    const newer = this.at.filter((moment) => !at.length || moment > at.at(-1));
    const skip = this.at.length - newer.length;
    const ids = new Set([...Object.keys(paths), ...this.paths.keys()]);
    for (const id of ids) {
      const mine = this.paths.get(id);
      const joined = {};
      for (const series of SERIES) {
        const old = paths[id]?.[series] ?? at.map(() => null);
        joined[series] = [...old, ...(mine ? mine[series].slice(skip) : newer.map(() => null))].slice(-KEPT);
      }
      this.paths.set(id, joined);
    }
    this.at = [...at, ...newer].slice(-KEPT);
  }

  add({ at, patterns, redis }) {
    if (this.at.length && at <= this.at.at(-1)) return;
    this.at.push(at);
    for (const view of patterns) {
      if (!this.paths.has(view.id)) this.paths.set(view.id, this.#empty(this.at.length - 1));
    }
    for (const [id, lists] of this.paths) {
      const view = redis.up ? patterns.find((one) => one.id === id) : undefined;
      for (const series of SERIES) {
        const value = series.endsWith("_ms") ? view?.latency?.[series] : view?.[series];
        lists[series].push(value ?? null);
        if (lists[series].length > KEPT) lists[series].shift();
      }
    }
    if (this.at.length > KEPT) this.at.shift();
  }

  of(id) {
    return this.paths.get(id) ?? this.#empty(this.at.length);
  }

  #empty(length) {
    return Object.fromEntries(SERIES.map((series) => [series, Array(length).fill(null)]));
  }
}
