/** What each shape of chart means to Chart.js: data sets and scales from the payload of the server. */

import { fill, font, hatched, hue, MARKERS, token } from "./ink.js";
import { full, parse, short } from "./numbers.js";

const axis = (title, extra = {}) => ({
  grid: { color: token("grid") },
  border: { display: false },
  ticks: { color: token("muted"), font: font(), maxRotation: 0, ...extra },
  title: { display: Boolean(title), text: title, color: token("muted"), font: font() },
});

const line = (series, index) => ({
  type: "line",
  label: series.label,
  data: series.values.map(parse),
  borderColor: hue(series.hue),
  backgroundColor: hue(series.hue),
  borderWidth: series.dashed ? 1.5 : 2,
  borderDash: series.dashed ? [5, 4] : [],
  pointStyle: MARKERS[index % MARKERS.length],
  pointRadius: series.values.length > 60 || series.hue === "pace" ? 0 : 2.5,
  pointHoverRadius: series.hue === "pace" ? 0 : 5,
  spanGaps: true,
  stack: series.label,
});

const bar = (series) => ({
  label: series.label,
  data: series.values.map(parse),
  backgroundColor: series.hatched ? hatched(series.hue) : fill(series.hue),
  hoverBackgroundColor: hue(series.hue),
  borderColor: series.hatched ? hue(series.hue) : token("surface"),
  borderWidth: { top: 1 },
  maxBarThickness: 40,
  stack: "cost",
  url: series.url,
});

function stacked(chart) {
  return {
    type: "bar",
    data: { labels: chart.labels, datasets: chart.series.map((s, i) => (s.line ? line(s, i) : bar(s))) },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { ...axis("", { autoSkipPadding: 12 }), stacked: true, grid: { display: false } },
        y: { ...axis("", { callback: short, maxTicksLimit: 6 }), stacked: true, beginAtZero: true },
      },
    },
  };
}

function lines(chart) {
  const y = axis("", { callback: short, maxTicksLimit: 6 });
  return {
    type: "line",
    data: { labels: chart.labels, datasets: chart.series.map(line) },
    options: {
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { ...axis("", { autoSkipPadding: 16 }), grid: { display: false } },
        y: chart.logarithmic ? { ...y, type: "logarithmic" } : { ...y, beginAtZero: true },
      },
    },
  };
}

function doughnut(chart) {
  return {
    type: "doughnut",
    data: {
      labels: chart.series.map((series) => series.label),
      datasets: [
        {
          data: chart.series.map((series) => parse(series.values[0])),
          backgroundColor: chart.series.map((series) => fill(series.hue)),
          borderColor: token("surface"),
          borderWidth: 2,
          urls: chart.series.map((series) => series.url),
        },
      ],
    },
    options: { cutout: "62%", layout: { padding: 4 } },
  };
}

export const SHAPES = { stacked, lines, doughnut };

/** The words of a tooltip; Chart.js draws them on the canvas, so no name becomes markup. */
export const spoken = (item, unit) =>
  `${item.dataset.label ?? item.label}: ${full(item.parsed.y ?? item.parsed)} ${unit}`;

/** The sum of a stack, under its parts. */
export function summed(items, total, unit) {
  const parts = items.filter((item) => item.dataset.stack === "cost");
  if (parts.length < 2) return "";
  return `${total}: ${full(parts.reduce((sum, item) => sum + item.parsed.y, 0))} ${unit}`;
}
