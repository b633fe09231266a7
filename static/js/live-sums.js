/** Sums of the last minutes, exact: amounts are whole picodollars in a BigInt, never a float. */

const SCALE = 12;
export const BUCKET = 5; // seconds, as the server's
export const SPAN = 900;

const fraction = (text) => text.padEnd(SCALE, "0").slice(0, SCALE);

/** Picodollars of a decimal string. */
export function exact(text) {
  const [whole, part = ""] = text.split(".");
  const size = BigInt(whole.replace("-", "") + fraction(part));
  return text.startsWith("-") ? -size : size;
}

/** The decimal string of picodollars. */
export function decimal(pico) {
  const digits = (pico < 0n ? -pico : pico).toString().padStart(SCALE + 1, "0");
  const part = digits.slice(-SCALE).replace(/0+$/, "");
  return `${pico < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${part ? `.${part}` : ""}`;
}

const nothing = () => ({ calls: 0, cost: 0n, unusualCalls: 0, unusualCost: 0n });

function join(sum, part) {
  sum.calls += part.calls;
  sum.cost += part.cost;
  sum.unusualCalls += part.unusualCalls;
  sum.unusualCost += part.unusualCost;
  return sum;
}

export class Sums {
  #buckets = new Map();

  /** Begin with what the server counted. */
  begin(rows) {
    this.#buckets.clear();
    for (const [second, calls, cost, unusualCalls, unusualCost] of rows) {
      const part = { calls, cost: exact(cost), unusualCalls, unusualCost: exact(unusualCost) };
      join(this.#at(second), part);
    }
  }

  add(event) {
    const cost = event.cost_usd === null ? 0n : exact(event.cost_usd);
    const [unusualCalls, unusualCost] = event.anomaly ? [1, cost] : [0, 0n];
    const second = Math.floor(Date.parse(event.timestamp) / 1000 / BUCKET) * BUCKET;
    join(this.#at(second), { calls: 1, cost, unusualCalls, unusualCost });
  }

  /** What was settled in the last seconds. */
  last(seconds, now) {
    return this.between(now - seconds, now + 60);
  }

  between(from, to) {
    const sum = nothing();
    for (const [second, part] of this.#buckets) if (second >= from && second < to) join(sum, part);
    return sum;
  }

  /** The sums of whole steps up to now, the oldest first. */
  steps(seconds, now) {
    const end = Math.floor(now / seconds) * seconds;
    const first = end - SPAN + seconds;
    return Array.from({ length: SPAN / seconds }, (_, n) => {
      const from = first + n * seconds;
      return { from, ...this.between(from, from + seconds) };
    });
  }

  forget(now) {
    for (const second of this.#buckets.keys()) if (second < now - SPAN - 60) this.#buckets.delete(second);
  }

  #at(second) {
    if (!this.#buckets.has(second)) this.#buckets.set(second, nothing());
    return this.#buckets.get(second);
  }
}
