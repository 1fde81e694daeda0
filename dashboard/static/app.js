// The frame: which screen is shown, whether what it shows is true, and the page's title.

import * as doctor from "./doctor.js";
import { clear, h, put } from "./dom.js";
import { get } from "./api.js";
import { plural } from "./format.js";
import { History } from "./history.js";
import * as instances from "./instances.js";
import * as queues from "./queues.js";
import * as login from "./login.js";
import * as messages from "./messages.js";
import * as overview from "./overview.js";
import { Speeds } from "./speeds.js";
import { Stream } from "./stream.js";
import { bindTheme } from "./switch.js";
import * as tryIt from "./try-it.js";

const SCREENS = { overview, instances, messages, queues, "try-it": tryIt, doctor };
const FEED_KEPT = 500;

const main = document.getElementById("main");
const live = document.getElementById("live");
const banner = document.getElementById("banner");
const mode = document.getElementById("mode");

/** What every screen may look at. */
const app = { session: null, snapshot: null, feed: [], history: new History(), speeds: new Speeds() };

let screen = null;
let shown = "";
const links = buildNav();

function buildNav() {
  const list = document.getElementById("nav");
  return Object.fromEntries(
    Object.entries(SCREENS).map(([name, { title }]) => {
      const badge = h("span", { class: "badge", hidden: true });
      const link = h("a", { href: `#/${name}` }, title, badge);
      list.append(h("li", {}, link));
      return [name, { link, badge }];
    }),
  );
}

function route() {
  const wanted = location.hash.replace(/^#\//, "").split("?")[0];
  const name = app.session && !app.session.authenticated ? "login" : wanted in SCREENS ? wanted : "overview";
  if (name === shown) return;
  const moved = shown !== "";
  screen?.close?.();
  shown = name;
  screen = new (name === "login" ? login : SCREENS[name]).Screen(app);
  clear(main).append(screen.node);
  for (const [other, { link }] of Object.entries(links)) {
    if (other === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // not scrollIntoView, which would also move where Tab begins
  if (name in links) document.getElementById("nav").scrollTo({ left: links[name].link.offsetLeft - 60 });
  if (app.snapshot) show();
  if (moved) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function show() {
  screen.update?.(app.snapshot);
  badges(app.snapshot);
  titleOf(app.snapshot);
}

function badges({ instances: all, patterns, findings }) {
  const living = all.filter((one) => one.state !== "gone").length;
  const dead = deadLetters(patterns);
  const worst = findings.some((one) => one.level === "bad") ? "bad" : "warn";
  const serious = findings.filter((one) => one.level !== "note").length;
  const stalled = all.some((one) => one.state === "stalled" || one.state === "silent") ? "warn" : "";
  badge("instances", living, stalled);
  badge("queues", dead, "bad");
  badge("doctor", serious, worst);
}

/** The groups of one stream share theirs. */
function deadLetters(patterns) {
  const places = new Map(patterns.map((view) => [`${view.name} ${view.key}`, view.dead_letters ?? 0]));
  return [...places.values()].reduce((sum, number) => sum + number, 0);
}

function badge(name, number, tone) {
  const { badge: node } = links[name];
  node.hidden = !number;
  put(node, number > 999 ? "999+" : number);
  node.dataset.tone = tone;
}

function titleOf({ patterns, redis }) {
  const lost = patterns.reduce((sum, view) => sum + (view.lost_certain ? view.lost : 0), 0);
  const dead = deadLetters(patterns);
  const news = [
    !redis.up && "Redis is away",
    lost > 0 && `${lost.toLocaleString("en")} lost`,
    dead > 0 && plural(dead, "dead letter"),
  ].filter(Boolean);
  const what = news[0] ?? (shown === "overview" ? "all is well" : SCREENS[shown]?.title ?? "");
  if (!stale) document.title = `${what} · Townpost`;
}

let stale = false;

function freshness(state, seconds) {
  stale = state === "stale";
  const away = app.snapshot && !app.snapshot.redis.up;
  live.dataset.state = stale || away ? "stale" : state;
  const words = stale ? "stale" : away ? "Redis is away" : state;
  put(live.lastElementChild, words);
  if (stale) {
    put(banner, `The dashboard has not answered for ${Math.round(seconds)} s. What you see is from before; trying again by itself.`);
  } else if (away) {
    const since = Math.max(0, Math.round(app.snapshot.at - (app.snapshot.redis.since ?? app.snapshot.at)));
    put(banner, `Redis has not answered for ${since} s: ${app.snapshot.redis.problem} What you see is from before.`);
  }
  banner.hidden = !stale && !away;
  main.toggleAttribute("data-stale", stale || away);
  if (stale) document.title = "stale · Townpost";
}

function take(snapshot) {
  app.snapshot = snapshot;
  app.speeds.update(snapshot);
  app.history.add(snapshot);
  if (screen && !document.hidden) show();
  else titleOf(snapshot);
}

const stream = new Stream({
  session(session) {
    app.session = session;
    mode.hidden = session.write;
    put(mode, "read-only");
    mode.title = "Nothing can be changed from this page: DASHBOARD_WRITE is off";
    screen?.session?.(session);
    route();
    // only now, so that nothing falls between what is remembered and what comes in
    catchUp().catch(() => {}); // it is tried again with the next connection
  },
  snapshot: take,
  seen(lines) {
    app.feed.push(...lines);
    if (app.feed.length > FEED_KEPT) app.feed.splice(0, app.feed.length - FEED_KEPT);
    if (!document.hidden) screen?.seen?.(lines);
  },
  refused() {
    begin().catch(() => stream.open());
  },
  freshness,
});

/** What this server remembers, before what it has told since it was connected. */
async function catchUp() {
  app.feed.length = 0;
  const [history, feed] = await Promise.all([get("history"), get("messages")]);
  app.history.begin(history);
  const told = new Set(app.feed.map((line) => line.number));
  app.feed.unshift(...feed.filter((line) => !told.has(line.number)));
  screen?.seen?.(feed);
}

/** Also after a login: everything begins. */
async function begin() {
  app.session = await get("session");
  route();
  if (!app.session.authenticated) return stream.close();
  stream.open();
  const first = await get("snapshot");
  if (!app.snapshot) take(first);
}

app.begin = begin;
bindTheme(document.getElementById("theme"));
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => !document.hidden && app.snapshot && screen && show());
begin().catch(() => {
  shown = "";
  route();
  stream.open();
});
