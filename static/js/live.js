/** The Live page: fetches the last minutes, follows the stream, keeps figures, chart and rows. */

import { Steps } from "./live-chart.js";
import { Feed } from "./live-feed.js";
import { drawIcon, find, showFigures, showState } from "./live-figures.js";
import { Rows } from "./live-rows.js";
import { amount, clock, count, sentence } from "./live-words.js";

const QUIET_MS = 15_000; // between two announcements

const settings = JSON.parse(document.getElementById("live-settings").textContent);
const { texts, zone } = settings;
const steps = new Steps(find("chart"), find("steps"), settings);
const rows = new Rows(find("rows"), settings);
let state = "connecting";
let isPaused = false;
let waiting = [];
let unheard = 0;
let heardAt = 0;

function turn(name = state) {
  state = name;
  showState(isPaused && name === "live" ? "paused" : name, texts);
}

function show() {
  if (isPaused || !feed.isReady) return;
  showFigures(feed, settings);
  steps.show(feed.sums.steps(settings.step, feed.now()));
  if (state === "live") find("time").textContent = clock(feed.now() * 1000, zone);
}

function showRows(events) {
  rows.add(events);
  const isEmpty = !rows.body.rows.length;
  find("filled").hidden = isEmpty;
  find("empty").hidden = !isEmpty;
}

function showWaiting() {
  find("waiting").hidden = !isPaused;
  find("waiting").textContent = sentence(texts.waiting, { count: count(waiting.length) });
}

/** What came, aloud: an unusual call at once, the others now and then. */
function announce(event) {
  unheard += 1;
  if (!event.anomaly && Date.now() - heardAt < QUIET_MS) return;
  const facts = { cost: event.cost_usd && amount(event.cost_usd), center: event.cost_center ?? texts.no_center, model: event.model };
  find("voice").textContent = event.anomaly ? sentence(texts.unusual_call, facts) : sentence(texts.news, { calls: count(unheard) });
  [unheard, heardAt] = [0, Date.now()];
}

function pause({ currentTarget: button }) {
  isPaused = !isPaused;
  button.querySelector("span").textContent = isPaused ? texts.resume : texts.pause;
  drawIcon(button, isPaused ? "resume" : "pause");
  if (!isPaused) showRows(waiting.splice(0));
  showWaiting();
  turn();
  show();
}

const feed = new Feed(settings, {
  state: turn,
  begun(calls) {
    rows.begin(calls);
    waiting = [];
    showRows([]);
    show();
  },
  calls(events) {
    if (isPaused) waiting.push(...events);
    else showRows(events);
    events.forEach(announce);
    showWaiting();
  },
});

find("pause").addEventListener("click", pause);
setInterval(show, 1000);
feed.open();
