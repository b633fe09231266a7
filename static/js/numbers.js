/** Numbers in the language of the page. Exact amounts are the server's; here they are only drawn. */

const language = document.documentElement.lang || "en";

const exactly = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const finely = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const briefly = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const plainly = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });

export const parse = (text) => (text === null ? null : Number(text));

/** An amount or a duration for a tooltip. */
export const full = (value) => (value !== 0 && Math.abs(value) < 0.01 ? finely : exactly).format(value);

/** A number for an axis. */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${briefly.format(value / 1e6)} M`;
  if (size >= 1e4) return `${briefly.format(value / 1e3)} k`;
  return (size !== 0 && size < 1 ? finely : plainly).format(value);
}
