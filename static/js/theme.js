/** Sets the theme that a person chose before the first paint, where the page is not ours to mark up. */

(() => {
  const chosen = document.querySelector('meta[name="theme"]').content;
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
