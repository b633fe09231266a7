/** Draws every canvas[data-chart] from the JSON beside it; reads colours anew when the theme changes. */

import { font, token } from "./ink.js";
import { SHAPES, spoken, summed } from "./shapes.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const drawn = new Map();

/** Weekends, faintly, behind the bars. */
const shading = {
  id: "shading",
  beforeDatasetsDraw(chart, _, options) {
    const { ctx, chartArea, scales } = chart;
    if (!options.days?.length || !scales.x) return;
    const width = chartArea.width / chart.data.labels.length;
    ctx.fillStyle = options.colour;
    for (const day of options.days) {
      ctx.fillRect(scales.x.getPixelForValue(day) - width / 2, chartArea.top, width, chartArea.height);
    }
  },
};

const tooltip = ({ unit, texts }) => ({
  backgroundColor: token("surface"),
  borderColor: token("line-strong"),
  borderWidth: 1,
  titleColor: token("text"),
  bodyColor: token("text"),
  titleFont: font(),
  bodyFont: font(),
  cornerRadius: 4,
  filter: (item) => item.parsed.y !== 0,
  footerColor: token("text"),
  footerFont: font(),
  itemSort: (a, b) => b.datasetIndex - a.datasetIndex,
  callbacks: {
    label: (item) => spoken(item, unit),
    footer: (items) => summed(items, texts.total, unit),
  },
});

function follow(event, points, chart) {
  const nearest = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, true)[0];
  if (!nearest) return;
  const set = chart.data.datasets[nearest.datasetIndex];
  const url = set.urls?.[nearest.index] ?? set.url;
  if (url) location.assign(url);
}

/** Arrow keys read one point after the other, aloud and in the tooltip. */
function reader(canvas) {
  let at = -1;
  const voice = canvas.closest("figure").querySelector("[data-chart-voice]");
  return (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const chart = drawn.get(canvas.dataset.chart);
    const size = chart.data.labels.length;
    at = at < 0 && step < 0 ? size - 1 : (at + step + size) % size;
    const points = chart.data.datasets
      .map(({ data }, datasetIndex) => ({ datasetIndex, index: at, value: data[at] }))
      .filter(({ value }) => value != null);
    chart.setActiveElements(points);
    chart.tooltip.setActiveElements(points, { x: 0, y: 0 });
    chart.update("none");
    voice.textContent = [chart.tooltip.title, ...chart.tooltip.body.map((b) => b.lines), chart.tooltip.footer].flat(2).join(", ");
  };
}

function draw(canvas) {
  const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
  const config = SHAPES[data.shape](data);
  Object.assign(config.options, {
    animation: still.matches || drawn.has(canvas.dataset.chart) ? false : { duration: 250 },
    maintainAspectRatio: false,
    onClick: follow,
    plugins: {
      legend: { display: false },
      tooltip: tooltip(data),
      shading: { days: data.shaded, colour: token("weekend") },
    },
  });
  drawn.get(canvas.dataset.chart)?.destroy();
  drawn.set(canvas.dataset.chart, new window.Chart(canvas, { ...config, plugins: [shading] }));
  canvas.onkeydown = reader(canvas);
  canvas.parentElement.classList.remove("drawing-waiting");
}

const drawAll = () => document.querySelectorAll("canvas[data-chart]").forEach(draw);

drawAll();
document.addEventListener("region:replaced", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
addEventListener("beforeprint", () => drawn.forEach((chart) => chart.resize()));
