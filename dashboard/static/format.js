// Numbers and times as a person reads them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const DASH = "–";

/** 12,345 */
export function count(value) {
  return value === null || value === undefined ? DASH : whole.format(value);
}

/** 12,345 below a million, then 1.2M */
export function brief(value) {
  if (value === null || value === undefined) return DASH;
  return value < 100_000 ? whole.format(value) : short.format(value);
}

/** Per second: 0, 0.4, 12, 3.4K */
export function rate(value) {
  if (value === null || value === undefined) return DASH;
  if (value >= 1000) return short.format(value);
  if (value >= 10) return whole.format(Math.round(value));
  return String(Math.round(value * 10) / 10);
}

/** Milliseconds: 0.4 ms, 12 ms, 1.5 s */
export function ms(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 10) return `${Math.round(value * 10) / 10} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return seconds(value / 1000);
}

/** A length of time: 4 s, 3 min, 2 h, 5 d */
export function seconds(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 0) return "0 s";
  if (value < 10) return `${Math.round(value * 10) / 10} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} d`;
}

export function bytes(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 1024) return `${value} B`;
  if (value < 1024 ** 2) return `${(value / 1024).toFixed(1)} KiB`;
  if (value < 1024 ** 3) return `${(value / 1024 ** 2).toFixed(1)} MiB`;
  return `${(value / 1024 ** 3).toFixed(1)} GiB`;
}

/** 14:03:59 of a moment in seconds since 1970 or as RFC 3339, in the reader's own time zone. */
export function clock(moment) {
  const date = new Date(typeof moment === "number" ? moment * 1000 : moment);
  return Number.isNaN(date.getTime()) ? DASH : date.toLocaleTimeString("en-GB");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
