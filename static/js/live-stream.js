/** The WebSocket of the Live page: opens it, opens it again when it is lost, says how it stands. */

const FIRST_MS = 1000;
const LONGEST_MS = 15_000;
const CROWDED = 4429;
const ENDED = { 4401: "signed_out", 4403: "refused", 4400: "refused" };

export class Stream {
  #socket = null;
  #timer = null;
  #pause = FIRST_MS;

  /** `told` has `state(name)` and `event(event)`. */
  constructor(path, hello, told) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    Object.assign(this, { url, hello, told });
    addEventListener("online", () => this.#again());
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  open() {
    this.told.state("connecting");
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify(this.hello)));
    socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => socket === this.#socket && this.#lost(code));
  }

  #hear(message) {
    if (message.event === "open") {
      this.#pause = FIRST_MS;
      this.told.state("live");
    } else if (message.event === "interrupted") {
      this.told.state("interrupted");
    } else if (message.event === "resumed") {
      this.told.state("live"); // what was missed meanwhile is fetched
    } else {
      this.told.event(message);
    }
  }

  #lost(code) {
    this.#socket = null;
    if (ENDED[code]) {
      this.told.state(ENDED[code]);
      return;
    }
    this.told.state(code === CROWDED ? "crowded" : "reconnecting");
    this.#timer = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, LONGEST_MS);
  }

  /** The network is back: wait no longer. */
  #again() {
    if (this.#timer) this.#connect();
  }

  #leave() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
