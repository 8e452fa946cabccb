// The chart itself: effect line in its interval, margins as dashed lines with what is beyond them shaded, changes of weight as marks. Canvas only.
import uPlot from 'uplot';
import { boundText, timeOfDay } from '../words/format.js';
import { axisRange, type Series } from './chart-data.js';

export interface Mark {
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly label: string;
}

/** What the picture is drawn from besides its columns; read anew at every drawing. */
export interface Shown {
  series: Series;
  marks: readonly Mark[];
}

const height = 280;
const fontPx = 12;
const slackS = 3;

interface Colours {
  readonly ink: string;
  readonly dim: string;
  readonly line: string;
  readonly calm: string;
  readonly bad: string;
}

function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return { ink: read('--ink'), dim: read('--ink-3'), line: read('--line'), calm: read('--calm'), bad: read('--bad') };
}

/** Columns as uPlot wants them: seconds, then effect bounds and effect. */
export function columnsOf(series: Series): uPlot.AlignedData {
  return [series.at.map((at) => at / 1000), [...series.upper], [...series.lower], [...series.effect]];
}

/** Draws into `host`; `onPoint` is told the index under the cursor, null when it leaves. */
export function drawChart(host: HTMLElement, shown: Shown, onPoint: (index: number | null) => void): uPlot {
  const colours = coloursOf(host);
  const font = `${fontPx}px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: colours.dim, font, grid: { stroke: colours.line, width: 1 }, ticks: { show: false } } as const;
  return new uPlot(
    {
      width: Math.max(host.clientWidth, 200),
      height,
      legend: { show: false },
      padding: [16, 12, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 8, fill: colours.calm, stroke: colours.calm } },
      scales: {
        x: { time: true, range: (_chart, min, max) => [min, max > min ? max : min + 1] },
        y: { range: () => [...axisRange(shown.series)] as [number, number] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 32, values: (_chart, splits) => splits.map((at) => timeOfDay(at * 1000)), space: 90 },
        {
          ...axis,
          size: 64,
          values: (_chart, splits) =>
            splits.map((value) => (value === 0 ? '0' : boundText(value, shown.series.unit).replace(' points', ' pt'))),
        },
      ],
      series: [
        {},
        { stroke: 'transparent', points: { show: false } },
        { stroke: 'transparent', points: { show: false } },
        { stroke: colours.calm, width: 2.25, points: { show: () => shown.series.measured < 3, size: 6, fill: colours.calm } },
      ],
      bands: [{ series: [1, 2], fill: withAlpha(colours.calm, 0.2) }],
      hooks: {
        drawClear: [(chart) => drawBeyond(chart, shown.series, colours)],
        draw: [
          (chart) => {
            drawMargins(chart, shown.series, colours, font);
            drawMarks(chart, shown.marks, colours, font);
          },
        ],
        setCursor: [(chart) => onPoint(chart.cursor.idx ?? null)],
      },
    },
    columnsOf(shown.series),
    host,
  );
}

/** Our colours are `#rrggbb`. */
function withAlpha(colour: string, alpha: number): string {
  return `${colour}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, '0')}`;
}

function marginsOf(series: Series): number[] {
  return [series.marginUp, series.marginDown].flatMap((margin) => (margin === null ? [] : [margin]));
}

function drawBeyond(chart: uPlot, series: Series, colours: Colours): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = withAlpha(colours.bad, 0.07);
  for (const margin of marginsOf(series)) {
    const y = Math.min(Math.max(chart.valToPos(margin, 'y', true), bbox.top), bbox.top + bbox.height);
    if (margin >= 0) ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
    else ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
  }
  ctx.restore();
}

function drawMargins(chart: uPlot, series: Series, colours: Colours, font: string): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = scaled(font, ratio);
  const horizontal = (value: number, stroke: string, dash: readonly number[], label: string): void => {
    const y = Math.round(chart.valToPos(value, 'y', true));
    if (y < bbox.top - 1 || y > bbox.top + bbox.height + 1) return;
    ctx.beginPath();
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash(dash.map((part) => part * ratio));
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    if (label === '') return;
    ctx.fillStyle = stroke;
    ctx.textAlign = 'right';
    ctx.textBaseline = value >= 0 ? 'bottom' : 'top';
    ctx.fillText(label, bbox.left + bbox.width - 4 * ratio, y + (value >= 0 ? -4 : 4) * ratio);
  };
  horizontal(0, colours.dim, [], '');
  for (const margin of marginsOf(series)) horizontal(margin, colours.bad, [6, 4], `margin ${boundText(margin, series.unit)}`);
  ctx.restore();
}

function drawMarks(chart: uPlot, marks: readonly Mark[], colours: Colours, font: string): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = scaled(font, ratio);
  ctx.strokeStyle = colours.dim;
  ctx.fillStyle = colours.ink;
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  ctx.textAlign = 'left';
  ctx.textBaseline = 'bottom';
  const lastS = chart.data[0].at(-1) ?? 0;
  let freeUntil = Number.POSITIVE_INFINITY;
  for (const { at, label } of marks.toReversed()) {
    // A decision is written a moment after the look it rests on: it belongs to the newest one.
    const seconds = at / 1000 - lastS < slackS ? Math.min(at / 1000, lastS) : at / 1000;
    const x = Math.round(chart.valToPos(seconds, 'x', true));
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(label).width;
    const left = Math.min(Math.max(x - width / 2, bbox.left), bbox.left + bbox.width - width);
    // Two labels in one place would be none; the newer one stays.
    if (left + width > freeUntil) continue;
    ctx.fillText(label, left, bbox.top - 2 * ratio);
    freeUntil = left - 8 * ratio;
  }
  ctx.restore();
}

function scaled(font: string, ratio: number): string {
  return font.replace(/^\d+(\.\d+)?px/, `${fontPx * ratio}px`);
}
