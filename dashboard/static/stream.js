// What the server tells, once a second; tries again by itself, and says when nothing came for too long.

const STALE_MS = 3000;
const AGAIN_MS = 1000;
const LOOK_MS = 500;

export class Stream {
  /** `on` has session, snapshot, seen, refused, and freshness(state, seconds): "connecting", "live", "stale". */
  constructor(on) {
    this.on = on;
    this.heard = performance.now();
    this.opened = this.heard;
    this.state = "connecting";
    this.source = null;
    setInterval(() => this.#look(), LOOK_MS);
    // a page that comes back to the front is not to wait for a timer that the browser had put to sleep
    document.addEventListener("visibilitychange", () => !document.hidden && this.#look());
  }

  open() {
    this.source?.close();
    this.opened = performance.now();
    const source = new EventSource("api/events");
    this.source = source;
    const take = (name) => (event) => {
      this.heard = performance.now();
      this.on[name](JSON.parse(event.data));
      this.#become("live");
    };
    for (const name of ["session", "snapshot", "seen"]) source.addEventListener(name, take(name));
    source.addEventListener("error", () => {
      // the browser tries again by itself unless the answer was an error: then `refused` asks why
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.source === source && this.on.refused(), AGAIN_MS);
    });
  }

  close() {
    this.source?.close();
    this.source = null;
    this.#become("connecting");
  }

  #look() {
    if (!this.source) return;
    const silent = performance.now() - this.heard;
    if (silent > STALE_MS) this.#become("stale", silent / 1000);
    // a connection can be dead without an error
    const tried = performance.now() - this.opened;
    if (this.source && silent > 2 * STALE_MS && tried > 2 * STALE_MS) this.open();
  }

  #become(state, seconds = 0) {
    this.state = state;
    this.on.freshness(state, seconds);
  }
}
