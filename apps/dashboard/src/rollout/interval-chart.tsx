// The effect of the candidate with its interval against the margin over time, with a readout, and the same as a table.
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import type uPlot from 'uplot';
import { Clock } from '../app/time.js';
import { count } from '../words/format.js';
import { chartSummary, marginText, pointText, type Series } from './chart-data.js';
import { columnsOf, drawChart, type Mark, type Shown } from './draw-chart.js';
import classes from './interval-chart.module.css';

const tableRows = 60;

function Readout({ series, index }: { readonly series: Series; readonly index: number }) {
  return (
    <div className={classes['readout']} data-testid="chart-readout">
      <Clock at={series.at[index] ?? 0} />
      <b>{pointText(series, index)}</b>
      <span>margin {marginText(series.marginUp, series.marginDown, series.unit)}</span>
      <span>
        {count(series.nCandidate[index] ?? 0)} candidate and {count(series.nStable[index] ?? 0)} stable responses
      </span>
    </div>
  );
}

function Legend() {
  return (
    <div className={classes['legend']} aria-hidden="true">
      <span>
        <svg width="22" height="10" aria-hidden="true">
          <path d="M0 5h22" stroke="var(--calm)" strokeWidth="2.5" />
        </svg>
        effect
      </span>
      <span>
        <svg width="22" height="10" aria-hidden="true">
          <rect width="22" height="10" rx="2" fill="var(--calm)" opacity="0.25" />
        </svg>
        interval, valid at every look
      </span>
      <span>
        <svg width="22" height="10" aria-hidden="true">
          <path d="M0 5h22" stroke="var(--bad)" strokeWidth="1.5" strokeDasharray="5 3" />
        </svg>
        margin
      </span>
      <span>
        <svg width="10" height="12" aria-hidden="true">
          <path d="M5 0v12" stroke="var(--ink-3)" strokeDasharray="2 2" />
        </svg>
        weight changed
      </span>
    </div>
  );
}

function AsTable({ series }: { readonly series: Series }) {
  const indices = series.at
    .map((_at, index) => index)
    .slice(-tableRows)
    .reverse();
  return (
    <details className={classes['table']}>
      <summary>As a table, newest first</summary>
      <div className={classes['scroll']}>
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Effect (interval)</th>
              <th scope="col">Candidate responses</th>
              <th scope="col">Stable responses</th>
            </tr>
          </thead>
          <tbody>
            {indices.map((index) => (
              <tr key={series.at[index]}>
                <td>
                  <Clock at={series.at[index] ?? 0} />
                </td>
                <td>{pointText(series, index)}</td>
                <td>{count(series.nCandidate[index] ?? 0)}</td>
                <td>{count(series.nStable[index] ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

interface Props {
  readonly series: Series;
  readonly marks: readonly Mark[];
  readonly name: string;
  /** Nothing more will come. */
  readonly over: boolean;
}

export function IntervalChart({ series, marks, name, over }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [point, setPoint] = useState<number | null>(null);
  const scheme = useComputedColorScheme('light');
  const drawable = series.measured > 0;
  // uPlot keeps what it was made with; it looks through this for what is true now.
  const shown = useRef<Shown>({ series, marks });
  useEffect(() => {
    Object.assign(shown.current, { series, marks });
    chart.current?.setData(columnsOf(series));
  }, [series, marks]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of scheme changes every colour, which only a new chart reads.
  useEffect(() => {
    const element = host.current;
    if (!element || !drawable) return;
    const drawn = drawChart(element, shown.current, setPoint);
    chart.current = drawn;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientWidth !== drawn.width)
        drawn.setSize({ width: element.clientWidth, height: drawn.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
      chart.current = null;
    };
  }, [drawable, scheme]);
  if (!drawable) {
    return (
      <div className={classes['nothing']}>
        <p>
          {over
            ? 'The candidate served no traffic that could be compared.'
            : `Nothing to draw yet: ${series.note ?? 'the candidate has given too few answers'}.`}
        </p>
      </div>
    );
  }
  const last = series.at.length - 1;
  const index = Math.min(point ?? last, last);
  const moveTo = (to: number): void => {
    const drawn = chart.current;
    if (!drawn) return;
    drawn.setCursor({ left: drawn.valToPos((series.at[to] ?? 0) / 1000, 'x'), top: 0 });
    setPoint(to);
  };
  return (
    <>
      <Readout series={series} index={index} />
      <div className={classes['chart']}>
        <div ref={host} className={classes['plot']} role="img" aria-label={chartSummary(series, name)} />
        <input
          className="unseen"
          type="range"
          min={0}
          max={last}
          value={index}
          aria-label={`${name}: look in time`}
          aria-valuetext={pointText(series, index)}
          onChange={(event) => moveTo(Number(event.currentTarget.value))}
        />
      </div>
      <Legend />
      <AsTable series={series} />
    </>
  );
}
