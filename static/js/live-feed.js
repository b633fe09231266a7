/** What the Live page knows: the last minutes from the server, then every call of the stream, each once. */

import { Stream } from "./live-stream.js";
import { Sums } from "./live-sums.js";

const GATHER_MS = 200;
const AGAIN_MS = 3000;

export class Feed {
  sums = new Sums();
  since = 0; // seconds since 1970; every call settled from here on is counted
  isReady = false;
  #offset = 0; // of this computer's clock
  #held = null; // calls that came while the last minutes were fetched
  #known = new Set(); // calls that both tell of
  #fresh = [];
  #timer = null;

  /** `told` has `state(name)`, `begun(calls)` and `calls(calls)`. */
  constructor(settings, told) {
    Object.assign(this, { path: settings.recent, told });
    this.stream = new Stream(settings.stream, settings.hello, {
      state: (name) => this.#turn(name),
      event: (event) => this.#hear(event),
    });
  }

  open() {
    this.stream.open();
  }

  /** The server's time, in seconds. */
  now() {
    return (Date.now() + this.#offset) / 1000;
  }

  #turn(name) {
    this.told.state(name);
    if (name === "live") this.#begin();
  }

  #hear(event) {
    if (event.event === "lagged") this.#later(); // calls are missing from the sums
    if (event.event !== "cost") return;
    if (this.#held) this.#held.push(event);
    else this.#take([event]);
  }

  async #begin() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const held = (this.#held = []);
    const found = await this.#fetched();
    if (held !== this.#held) return; // another one began meanwhile
    this.#held = null;
    if (!found) {
      this.#later();
      return this.#take(held);
    }
    this.sums.begin(found.sums);
    this.since = Date.parse(found.since) / 1000;
    this.#offset = Date.parse(found.as_of) - Date.now();
    this.#known = new Set(found.overlap);
    this.#fresh = [];
    this.isReady = true;
    this.told.begun(found.newest);
    this.#take(held);
  }

  async #fetched() {
    try {
      const answer = await fetch(this.path, { headers: { Accept: "application/json" } });
      if (answer.ok) return await answer.json();
      if (answer.status === 401) this.told.state("signed_out");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the network is away: tried again
    }
    return null;
  }

  #later() {
    this.#timer ??= setTimeout(() => this.#begin(), AGAIN_MS);
  }

  #take(events) {
    for (const event of events) {
      if (this.#known.delete(event.request_id)) continue;
      this.sums.add(event);
      if (!this.#fresh.length) setTimeout(() => this.#show(), GATHER_MS);
      this.#fresh.push(event);
    }
  }

  #show() {
    this.sums.forget(this.now());
    const events = this.#fresh.splice(0);
    if (events.length) this.told.calls(events);
  }
}
