/** Keeps a region up to date: asks for a small stamp and fetches the region when it has changed. */

const PAUSE_MS = 1000;

/** Somebody walks through the points of a chart: it must not vanish under the fingers. */
const isBeingRead = () => Boolean(document.activeElement?.matches?.("canvas[data-chart]"));

function remember(region) {
  return [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
}

async function check(region) {
  const answer = await fetch(region.dataset.refreshStamp, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const { stamp, as_of: asOf, is_stale: isStale } = await answer.json();
  show(asOf, isStale);
  if (stamp === region.dataset.stamp) return;
  await replace(region);
}

/** Scripts of a parsed document never run, and htmx would drop the charts' JSON: hence the parser. */
async function replace(region) {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(region.id);
  if (!fresh || isBeingRead()) return; // without the region: signed out meanwhile, the next click says so
  const open = remember(region);
  region.replaceWith(document.adoptNode(fresh));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  window.htmx.process(fresh);
  document.dispatchEvent(new CustomEvent("region:replaced"));
}

function show(asOf, isStale) {
  const place = document.querySelector("[data-freshness]");
  if (!place) return;
  place.textContent = asOf;
  const freshness = place.closest(".freshness");
  freshness.classList.toggle("freshness-stale", isStale);
  freshness.querySelector("[data-freshness-late]").hidden = !isStale;
}

async function keep() {
  const region = document.querySelector("[data-refresh-stamp]");
  if (region && !isBeingRead() && document.visibilityState === "visible") {
    try {
      await check(region);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the network is away: the freshness says so
      show(document.querySelector("[data-freshness]")?.textContent ?? "", true);
    }
  }
  setTimeout(keep, PAUSE_MS);
}

setTimeout(keep, PAUSE_MS);
