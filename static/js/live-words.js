/** Numbers, times and sentences of the Live page, in its language and the organization's zone. */

const language = document.documentElement.lang || "en";
const whole = new Intl.NumberFormat(language);
const cents = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const fine = new Intl.NumberFormat(language, { minimumFractionDigits: 6, maximumFractionDigits: 6 });
const tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clocks = new Map();

export const count = (number) => whole.format(number);

/** An exact amount as tables show it: two decimals, six below a cent. */
export function amount(text) {
  const size = Number(text);
  return (size !== 0 && Math.abs(size) < 0.01 ? fine : cents).format(text);
}

/** An amount as headlines show it: 12.4 k, 1.2 M; below ten thousand as in tables. */
export function compact(text) {
  const size = Number(text);
  if (size >= 1e6) return `${tenths.format(size / 1e6)}\u00a0M`;
  return size >= 1e4 ? `${tenths.format(size / 1e3)}\u00a0k` : amount(text);
}

/** A time of day in the organization's zone. */
export function clock(instant, zone) {
  if (!clocks.has(zone)) {
    const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone };
    clocks.set(zone, new Intl.DateTimeFormat("en", parts));
  }
  return clocks.get(zone).format(new Date(instant));
}

/** A sentence of the server with its gaps filled. */
export const sentence = (text, facts) => text.replace(/%\((\w+)\)s/g, (_, name) => facts[name] ?? "");
