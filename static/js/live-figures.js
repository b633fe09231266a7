/** Key figures, the finding and the state of the Live page. */

import { SPAN, decimal } from "./live-sums.js";
import { amount, clock, compact, count, sentence } from "./live-words.js";

const ICONS = { live: "good", paused: "pause", connecting: "clock", interrupted: "warn", reconnecting: "warn", crowded: "warn" };
const TONES = { good: "state-good", warn: "state-warn", bad: "state-bad" };

export const find = (name) => document.querySelector(`[data-live-${name}]`);

export function drawIcon(place, name) {
  const use = place.querySelector("use");
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${name}`));
}

export function showState(name, texts) {
  const place = find("state");
  const icon = ICONS[name] ?? "bad";
  place.className = `state ${TONES[icon] ?? ""}`;
  place.querySelector("span").textContent = texts[name];
  drawIcon(place, icon);
  const isFresh = name === "live" || name === "connecting";
  find("time").closest(".freshness").classList.toggle("freshness-stale", !isFresh);
}

function put(name, text, exact = "") {
  const place = document.querySelector(`[data-live-figure="${name}"]`);
  place.textContent = text;
  place.title = exact;
}

function putAmount(name, pico) {
  const text = decimal(pico);
  put(name, compact(text), amount(text));
}

export function showFigures(feed, { texts, zone }) {
  const now = feed.now();
  const [minute, five, all] = [60, 300, SPAN].map((seconds) => feed.sums.last(seconds, now));
  putAmount("spent-60", minute.cost);
  putAmount("spent-900", all.cost);
  putAmount("rate", five.cost * 12n);
  put("calls-60", count(minute.calls));
  put("calls-900", count(all.calls));
  put("unusual-900", count(all.unusualCalls));
  const facts = { cost: amount(decimal(all.cost)), calls: count(all.calls), unusual: count(all.unusualCalls) };
  find("finding").textContent = sentence(texts.finding, facts);
  const isWhole = feed.since <= now - SPAN + 5;
  const covered = isWhole ? texts.whole : sentence(texts.since, { time: clock(feed.since * 1000, zone) });
  for (const note of document.querySelectorAll("[data-live-window]")) note.textContent = covered;
}
