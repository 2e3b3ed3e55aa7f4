/**
 * A timeline as an SVG picture.
 *
 * @module
 */
import type { Timeline, TimelinePhase } from "./timeline.ts";
import { durationText, timelineSpan } from "./timeline_text.ts";

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
const HEAD_HEIGHT = 56;
const BAR_INSET = 4;
const LEAST_BAR_WIDTH = 2;
const TICKS = 6;
const COLOURS: Readonly<Record<TimelinePhase["outcome"], string>> = {
  succeeded: "#2e7d32",
  failed: "#c62828",
  running: "#1565c0",
  interrupted: "#9e9e9e",
};

/**
 * Draws a timeline as a self-contained picture: a scale at the top, and one row per phase.
 *
 * @returns An SVG 1.1 document.
 */
export function timelineSvg(timeline: Timeline, options: TimelineSvgOptions): string {
  const { fromMs, toMs, phases } = timelineSpan(timeline, options.nowMs);
  const height = HEAD_HEIGHT + Math.max(1, phases.length) * ROW_HEIGHT + BAR_INSET;
  const barsWidth = WIDTH - LABEL_WIDTH - DURATION_WIDTH;
  const x = (ms: number) => LABEL_WIDTH + ((ms - fromMs) / (toMs - fromMs)) * barsWidth;
  const scale = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const ms = fromMs + ((toMs - fromMs) * tick) / TICKS;
    const at = x(ms).toFixed(1);
    return `<line x1="${at}" y1="${HEAD_HEIGHT - 8}" x2="${at}" y2="${height}" stroke="#e0e0e0"/>` +
      `<text x="${at}" y="${HEAD_HEIGHT - 12}" text-anchor="middle" fill="#757575">${durationText(ms - fromMs)}</text>`;
  });
  const rows = phases.map(({ phase, ...span }, index) => {
    const top = HEAD_HEIGHT + index * ROW_HEIGHT;
    const left = x(span.fromMs);
    const width = Math.max(LEAST_BAR_WIDTH, x(span.toMs) - left);
    const baseline = top + ROW_HEIGHT - 2 * BAR_INSET;
    const length = phase.outcome === "interrupted" ? "interrupted" : durationText(span.toMs - span.fromMs);
    const tip = [phase.name, phase.outcome, phase.code ?? "", new Date(phase.startMs).toISOString(), length];
    return `<g><title>${escape(tip.filter((part) => part !== "").join(" · "))}</title>` +
      `<text x="${LABEL_WIDTH - 8}" y="${baseline}" text-anchor="end">${escape(phase.name)}</text>` +
      `<rect x="${left.toFixed(1)}" y="${top + BAR_INSET}" width="${width.toFixed(1)}" ` +
      `height="${ROW_HEIGHT - 2 * BAR_INSET}" rx="2" fill="${COLOURS[phase.outcome]}"/>` +
      `<text x="${(left + width + 4).toFixed(1)}" y="${baseline}" fill="#424242">${length}</text></g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"` +
    ` font-family="sans-serif" font-size="12">`,
    `<title>${escape(options.title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="8" y="20" font-size="16">${escape(options.title)}</text>`,
    ...scale,
    ...rows,
    "</svg>\n",
  ].join("\n");
}

/** Escapes text for XML character data and quoted attributes. Characters outside XML 1.0 become question marks. */
function escape(text: string): string {
  // deno-lint-ignore no-control-regex -- exactly the characters outside XML 1.0's Char (section 2.2).
  return text.toWellFormed().replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "?")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
