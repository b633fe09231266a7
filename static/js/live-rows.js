/** The newest calls as rows; every text goes in as text. */

import { amount, clock, count } from "./live-words.js";

const MOST = 50;

function cell(kind, ...content) {
  const made = document.createElement(kind === "th" ? "th" : "td");
  if (kind === "th") made.scope = "row";
  else if (kind) made.className = kind;
  made.append(...content);
  return made;
}

function swatch(hue) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("class", `swatch hue-${hue}`);
  drawing.setAttribute("viewBox", "0 0 12 12");
  drawing.setAttribute("aria-hidden", "true");
  const square = document.createElementNS(space, "rect");
  for (const side of ["width", "height"]) square.setAttribute(side, "12");
  square.setAttribute("rx", "2");
  drawing.append(square);
  return drawing;
}

function mark(text, state = "") {
  const made = document.createElement("span");
  made.className = `state ${state}`;
  made.textContent = text;
  return made;
}

/** A dash with its reason, on hover and on focus. */
function dash(reason) {
  const made = document.createElement("span");
  made.className = "hint";
  made.tabIndex = 0;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", reason);
  made.dataset.hint = reason;
  made.textContent = "—";
  return made;
}

function name(text, missing) {
  const made = cell("name", text ?? missing);
  made.title = text ?? "";
  return made;
}

export class Rows {
  constructor(body, { hues, texts, zone }) {
    Object.assign(this, { body, hues, texts, zone });
  }

  /** Begin anew with calls, the newest first. */
  begin(events) {
    this.body.replaceChildren(...events.slice(0, MOST).map((event) => this.#row(event)));
  }

  /** Put calls on top, the oldest first. */
  add(events) {
    const made = events.slice(-MOST).map((event) => this.#row(event));
    for (const row of made) row.classList.add("live-new");
    this.body.prepend(...made.reverse());
    while (this.body.rows.length > MOST) this.body.lastElementChild.remove();
  }

  #row(event) {
    const { texts } = this;
    const row = document.createElement("tr");
    row.dataset.call = event.request_id;
    row.classList.toggle("live-unusual", event.anomaly);
    const center = event.cost_center ? [swatch(this.hues[event.cost_center] ?? "other"), event.cost_center] : [texts.no_center];
    const cost = [event.cost_usd === null ? dash(texts.unpriced) : amount(event.cost_usd)];
    if (event.is_estimated) cost.unshift(mark(texts.estimated), " ");
    if (event.anomaly) cost.unshift(mark(texts.unusual, "state-warn"), " ");
    row.append(
      cell("th", clock(event.timestamp, this.zone)),
      cell("name", ...center),
      cell("number", ...cost),
      name(event.model_billed ?? event.model, ""),
      name(event.user, texts.unnamed),
      name(event.feature, ""),
      cell("number", count(event.tokens.total)),
      cell("number", event.latency_ms === null ? "" : count(event.latency_ms)),
    );
    return row;
  }
}
