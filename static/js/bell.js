/** Tells beside the bell how many notes wait; asks once a minute while somebody looks. */

const PAUSE_MS = 60_000;

function show(bell, unread) {
  const badge = bell.querySelector("[data-bell-count]");
  badge.hidden = !unread;
  badge.textContent = unread > 99 ? "99+" : String(unread);
  badge.setAttribute("aria-label", `${unread} ${bell.dataset.bellLabel}`);
}

async function ask(bell) {
  if (document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(bell.dataset.bell, { headers: { Accept: "application/json" } });
    if (answer.ok) show(bell, (await answer.json()).unread);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the network is away: the old number stays
  }
}

const bell = document.querySelector("[data-bell]");
if (bell) {
  ask(bell);
  setInterval(() => ask(bell), PAUSE_MS);
  document.addEventListener("visibilitychange", () => ask(bell));
}
