/** Shows of a form only what the chosen kind needs: fields name their kinds in data-only. */

const select = document.querySelector("select[name=kind]");

function show() {
  for (const field of document.querySelectorAll("[data-only]")) {
    field.hidden = !field.dataset.only.split(" ").includes(select.value);
  }
}

if (select) {
  select.addEventListener("change", show);
  show();
}
