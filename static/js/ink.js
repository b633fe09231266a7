/** Colours and patterns of charts, read from the tokens of the page; the same hue, the same pattern. */

const SIZE = 8;
const TEXTURES = {
  2: [[0, 8, 8, 0]],
  3: [[0, 2, 8, 2]],
  4: [[0, 0, 8, 8]],
  5: [[2, 0, 2, 8]],
  6: [[0, 8, 8, 0], [0, 0, 8, 8]],
  7: [[0, 2, 8, 2], [2, 0, 2, 8]],
  8: [[0, 4, 4, 4]],
};

const style = () => getComputedStyle(document.documentElement);

export const token = (name) => style().getPropertyValue(`--${name}`).trim();

export const hue = (name) => token(name === "pace" ? "chart-pace" : `chart-${name}`);

export const font = (size = 12) => ({ family: token("font"), size });

/** A fill for areas: the hue with fine lines in the colour of the surface, so that not colour alone tells. */
export function fill(name) {
  const strokes = TEXTURES[name];
  if (!strokes) return hue(name);
  const tile = document.createElement("canvas");
  tile.width = SIZE;
  tile.height = SIZE;
  const pen = tile.getContext("2d");
  pen.fillStyle = hue(name);
  pen.fillRect(0, 0, SIZE, SIZE);
  pen.strokeStyle = token("surface");
  pen.globalAlpha = 0.22;
  for (const [x1, y1, x2, y2] of strokes) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

/** A fill for what is only expected: lines of the hue on the surface. */
export function hatched(name) {
  const tile = document.createElement("canvas");
  tile.width = SIZE;
  tile.height = SIZE;
  const pen = tile.getContext("2d");
  pen.strokeStyle = hue(name);
  pen.lineWidth = 1.5;
  for (const [x1, y1, x2, y2] of [[0, 8, 8, 0], [-2, 2, 2, -2], [6, 10, 10, 6]]) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

export const MARKERS = ["circle", "rect", "triangle", "rectRot", "star", "cross"];
