// The last five minutes, for charts: what the server remembers, then what comes in.

const KEPT = 300;
const SERIES = ["sent_rate", "received_rate", "handled_rate", "depth", "p50_ms", "p99_ms"];

export class History {
  constructor() {
    this.at = [];
    this.patterns = new Map();
  }

  /** What the server remembers; what has come in since stays behind it. */
  begin({ at, patterns }) {
    const newer = this.at.filter((moment) => !at.length || moment > at.at(-1));
    const skip = this.at.length - newer.length;
    const names = new Set([...Object.keys(patterns), ...this.patterns.keys()]);
    for (const name of names) {
      const mine = this.patterns.get(name);
      const joined = {};
      for (const series of SERIES) {
        const old = patterns[name]?.[series] ?? at.map(() => null);
        joined[series] = [...old, ...(mine ? mine[series].slice(skip) : newer.map(() => null))].slice(-KEPT);
      }
      this.patterns.set(name, joined);
    }
    this.at = [...at, ...newer].slice(-KEPT);
  }

  add({ at, patterns, redis }) {
    if (this.at.length && at <= this.at.at(-1)) return;
    this.at.push(at);
    for (const view of patterns) {
      if (!this.patterns.has(view.name)) this.patterns.set(view.name, this.#empty(this.at.length - 1));
    }
    for (const [name, lists] of this.patterns) {
      const view = redis.up ? patterns.find((one) => one.name === name) : undefined;
      for (const series of SERIES) {
        const value = series.endsWith("_ms") ? view?.latency?.[series] : view?.[series];
        lists[series].push(value ?? null);
        if (lists[series].length > KEPT) lists[series].shift();
      }
    }
    if (this.at.length > KEPT) this.at.shift();
  }

  of(name) {
    return this.patterns.get(name) ?? this.#empty(this.at.length);
  }

  #empty(length) {
    return Object.fromEntries(SERIES.map((series) => [series, Array(length).fill(null)]));
  }
}
