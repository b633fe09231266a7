/** The chart of the Live page and the table that says the same. */

import { fill, font, token } from "./ink.js";
import { decimal } from "./live-sums.js";
import { amount, clock, count } from "./live-words.js";
import { short } from "./numbers.js";

const SETS = [
  { key: "usual", text: "usual_calls", hue: "1" },
  { key: "unusual", text: "unusual_calls", hue: "2" },
];

const cost = (step, key) => (key === "unusual" ? step.unusualCost : step.cost - step.unusualCost);

export class Steps {
  #chart = null;
  #at = -1;

  constructor(canvas, body, { texts, zone }) {
    Object.assign(this, { canvas, body, texts, zone, steps: [] });
    this.voice = canvas.closest("figure").querySelector("[data-chart-voice]");
    canvas.addEventListener("keydown", (event) => this.#read(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#chart?.destroy();
      this.#chart = null;
      this.show(this.steps);
    });
  }

  show(steps) {
    this.steps = steps;
    this.#chart ??= this.#drawn();
    this.#chart.data.labels = steps.map(({ from }) => clock(from * 1000, this.zone));
    SETS.forEach(({ key }, n) => {
      this.#chart.data.datasets[n].data = steps.map((step) => Number(decimal(cost(step, key))));
    });
    this.#chart.update("none");
    this.canvas.parentElement.classList.remove("drawing-waiting");
    if (this.body.closest("details").open || !this.body.rows.length) this.#list();
  }

  #drawn() {
    const axis = { border: { display: false }, ticks: { color: token("muted"), font: font(), maxRotation: 0 } };
    const datasets = SETS.map(({ text, hue }) => ({
      label: this.texts[text],
      backgroundColor: fill(hue),
      stack: "cost",
      data: [],
    }));
    return new window.Chart(this.canvas, {
      type: "bar",
      data: { labels: [], datasets },
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        plugins: {
          legend: { display: false },
          tooltip: { callbacks: { label: ({ dataset, dataIndex, datasetIndex }) => `${dataset.label}: ${this.#amount(dataIndex, datasetIndex)} USD` } },
        },
        scales: {
          x: { ...axis, stacked: true, grid: { display: false }, ticks: { ...axis.ticks, autoSkipPadding: 16 } },
          y: { ...axis, stacked: true, beginAtZero: true, grid: { color: token("grid") }, ticks: { ...axis.ticks, callback: short, maxTicksLimit: 5 } },
        },
      },
    });
  }

  #amount(index, set) {
    return amount(decimal(cost(this.steps[index], SETS[set].key)));
  }

  #list() {
    const rows = this.steps.toReversed().map((step) => {
      const row = document.createElement("tr");
      const texts = [clock(step.from * 1000, this.zone), count(step.calls), amount(decimal(step.cost)), count(step.unusualCalls), amount(decimal(step.unusualCost))];
      row.append(...texts.map((text, n) => Object.assign(document.createElement(n ? "td" : "th"), n ? { className: "number", textContent: text } : { scope: "row", textContent: text })));
      return row;
    });
    this.body.replaceChildren(...rows);
  }

  /** Arrow keys read one bar after the other, aloud. */
  #read(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !this.steps.length) return;
    event.preventDefault();
    const size = this.steps.length;
    this.#at = this.#at < 0 ? size - 1 : (this.#at + move + size) % size;
    const parts = SETS.map(({ text }, n) => `${this.texts[text]}: ${this.#amount(this.#at, n)} USD`);
    this.voice.textContent = [clock(this.steps[this.#at].from * 1000, this.zone), ...parts].join(", ");
  }
}
