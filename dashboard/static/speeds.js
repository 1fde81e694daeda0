// What each instance does on each pattern, per second: the difference over the last few seconds.

const WINDOW_SECONDS = 6;

export class Speeds {
  constructor() {
    this.past = new Map();
  }

  update({ at, instances }) {
    const present = new Map();
    for (const one of instances) {
      const kept = (this.past.get(one.id) ?? []).filter((sample) => at - sample.at <= WINDOW_SECONDS);
      present.set(one.id, [...kept, { at, state: one.state, totals: one.by_path }]);
    }
    this.past = present;
  }

  of(id, path, what) {
    const samples = this.past.get(id) ?? [];
    const last = samples.at(-1);
    if (samples.length < 2 || last.state === "gone") return 0;
    const first = samples[0];
    const more = (last.totals[path]?.[what] ?? 0) - (first.totals[path]?.[what] ?? 0);
    return last.at > first.at ? Math.max(0, more / (last.at - first.at)) : 0;
  }
}
