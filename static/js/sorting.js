/** Headings of table[data-sortable] become buttons that sort the rows; the totals stay at the foot. */

const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });

function compare(a, b, isNumber) {
  if (a === b) return 0;
  if (a === "") return 1; // what is unknown comes last, whichever way
  if (b === "") return -1;
  return isNumber ? Number(a) - Number(b) : collator.compare(a, b);
}

function sort(table, column, direction) {
  const isNumber = table.tHead.rows[0].cells[column].classList.contains("number");
  const value = (row) => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const order = compare(value(a), value(b), isNumber);
    return value(a) === "" || value(b) === "" ? order : order * direction;
  });
  table.tBodies[0].append(...rows);
}

function prepare(table) {
  if (table.dataset.sortable === "ready") return;
  table.dataset.sortable = "ready";
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "ascending" : "descending");
      sort(table, column, falling ? 1 : -1);
    });
  });
}

const prepareAll = () => document.querySelectorAll("table[data-sortable]").forEach(prepare);

prepareAll();
document.addEventListener("region:replaced", prepareAll);
document.addEventListener("htmx:afterSettle", prepareAll);
