/**
 * A timeline as an SVG picture.
 *
 * @module
 */
import type { Timeline } from "./timeline.ts";
import type { TimelineRowKind } from "./timeline_rows.ts";
import { durationText, timelineRows } from "./timeline_rows.ts";

/** Options for {@linkcode timelineSvg}. */
export interface TimelineSvgOptions {
  readonly title: string;
  /** The end of running phases in the picture, in milliseconds since 1970. */
  readonly nowMs: number;
}

const WIDTH = 960;
const LABEL_WIDTH = 240;
const DURATION_WIDTH = 100;
const ROW_HEIGHT = 24;
const HEAD_HEIGHT = 76;
const BAR_INSET = 4;
const LEAST_BAR_WIDTH = 2;
const TICKS = 6;
/** About the width of a character. */
const CHARACTER_WIDTH = 6.5;
const COLOURS: Readonly<Record<TimelineRowKind, string>> = {
  succeeded: "#2e7d32",
  failed: "#c62828",
  running: "#1565c0",
  interrupted: "#9e9e9e",
  waiting: "#cfd8dc",
};
const LEGEND_STEP = 100;
const LEGEND_TOP = 30;
const LEGEND_SIZE = 10;

/**
 * Draws a timeline as a self-contained picture: a scale at the top, and one row per phase. Waiting has rows of its own, in
 * pale colour. If it would take more than a quarter of the width, it is drawn shorter than it was, on grey ground.
 *
 * @returns An SVG 1.1 document.
 */
export function timelineSvg(timeline: Timeline, options: TimelineSvgOptions): string {
  const { fromMs, rows, shortened, place, timeAt } = timelineRows(timeline, options.nowMs);
  const height = HEAD_HEIGHT + Math.max(1, rows.length) * ROW_HEIGHT + BAR_INSET;
  const barsWidth = WIDTH - LABEL_WIDTH - DURATION_WIDTH;
  const x = (ms: number) => LABEL_WIDTH + place(ms) * barsWidth;
  const ground = shortened.map((gap) => {
    const [left, right] = [x(gap.fromMs), x(gap.toMs)];
    return `<rect x="${left.toFixed(1)}" y="${HEAD_HEIGHT - 8}" width="${(right - left).toFixed(1)}" ` +
      `height="${height - HEAD_HEIGHT + 8}" fill="#f5f5f5"/>`;
  });
  const scale = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const at = (LABEL_WIDTH + (barsWidth * tick) / TICKS).toFixed(1);
    const text = durationText(timeAt(tick / TICKS) - fromMs);
    return `<line x1="${at}" y1="${HEAD_HEIGHT - 8}" x2="${at}" y2="${height}" stroke="#e0e0e0"/>` +
      `<text x="${at}" y="${HEAD_HEIGHT - 12}" text-anchor="middle" fill="#757575">${text}</text>`;
  });
  const bars = rows.map(({ name, kind, note, duration, ...row }, index) => {
    const top = HEAD_HEIGHT + index * ROW_HEIGHT;
    const left = x(row.fromMs);
    const width = Math.max(LEAST_BAR_WIDTH, x(row.toMs) - left);
    const baseline = top + ROW_HEIGHT - 2 * BAR_INSET;
    const said = [duration === "?" ? "" : duration, note].filter((part) => part !== "").join(" · ");
    const tip = [name, kind === "waiting" ? "waited" : kind, new Date(row.fromMs).toISOString(), said];
    const isRoomAtRight = left + width + 4 + said.length * CHARACTER_WIDTH <= WIDTH;
    const place = isRoomAtRight
      ? `x="${(left + width + 4).toFixed(1)}"`
      : `x="${(left - 4).toFixed(1)}" text-anchor="end"`;
    return `<g><title>${escape(tip.join(" · "))}</title>` +
      `<text x="${LABEL_WIDTH - 8}" y="${baseline}" text-anchor="end">${escape(name)}</text>` +
      `<rect x="${left.toFixed(1)}" y="${top + BAR_INSET}" width="${width.toFixed(1)}" ` +
      `height="${ROW_HEIGHT - 2 * BAR_INSET}" rx="2" fill="${COLOURS[kind]}"/>` +
      `<text ${place} y="${baseline}" fill="#424242">${escape(said)}</text></g>`;
  });
  const legend = Object.entries(COLOURS).map(([kind, colour], index) => {
    const left = LABEL_WIDTH + index * LEGEND_STEP;
    return `<rect x="${left}" y="${LEGEND_TOP}" width="${LEGEND_SIZE}" height="${LEGEND_SIZE}" fill="${colour}"/>` +
      `<text x="${left + LEGEND_SIZE + 4}" y="${LEGEND_TOP + LEGEND_SIZE}" fill="#424242">${kind}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"` +
    ` font-family="sans-serif" font-size="12">`,
    `<title>${escape(options.title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="8" y="20" font-size="16">${escape(options.title)}</text>`,
    ...[...legend, ...ground, ...scale, ...bars],
    "</svg>\n",
  ].join("\n");
}

/** Escapes text for XML character data and quoted attributes. Characters outside XML 1.0 become question marks. */
function escape(text: string): string {
  // deno-lint-ignore no-control-regex -- exactly the characters outside XML 1.0's Char (section 2.2).
  return text.toWellFormed().replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "?")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
