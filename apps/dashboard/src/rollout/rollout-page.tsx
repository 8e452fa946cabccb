// `/rollouts/{id}`: where alerts lead. State and the way back first, then what is measured, then what was decided.
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { RolloutEventResource } from '#libs/contract';
import { useEvents, useEvidence, useRollout } from '../api/rollouts.js';
import { ProblemNotice } from '../app/problem-notice.js';
import { weight } from '../words/format.js';
import { checks, hasEnded } from '../words/names.js';
import { Card } from './card.js';
import { type ChartCheck, toSeries } from './chart-data.js';
import { ChecksTable } from './checks-table.js';
import type { Mark } from './draw-chart.js';
import { IntervalChart } from './interval-chart.js';
import { ProofCard } from './proof-card.js';
import classes from './rollout-page.module.css';
import { StateHead } from './state-head.js';
import { Timeline } from './timeline.js';
import { TrafficCard } from './traffic-card.js';

const noEvents: readonly RolloutEventResource[] = [];
const markWords: Partial<Record<string, string>> = {
  promote: 'promoted',
  rollback: 'rolled back',
  abort: 'aborted',
  pause: 'paused',
  bake: 'bake',
};

/** Changes worth a line in the chart. */
function marksOf(events: readonly RolloutEventResource[]): Mark[] {
  return events.flatMap(({ transition, at, weightPct }) => {
    const word = transition === 'start' || transition === 'advance' ? weight(weightPct) : markWords[transition];
    return word ? [{ at, label: word }] : [];
  });
}

export function RolloutPage({ id, check }: { readonly id: string; readonly check: ChartCheck }) {
  const { data: rollout, error } = useRollout(id);
  const { data: events = noEvents, error: eventsError } = useEvents(id);
  const { data: looks, error: evidenceError } = useEvidence(id);
  const series = useMemo(() => toSeries(looks ?? [], check), [looks, check]);
  const marks = useMemo(() => marksOf(events), [events]);
  if (!rollout) {
    return error ? (
      <>
        <p className={classes['crumbs']}>
          <Link to="/">Rollouts</Link>
        </p>
        <ProblemNotice error={error} />
      </>
    ) : null;
  }
  const newest = looks?.at(-1);
  // The last look before the end has the findings that decided; a look after it may have none.
  const judged = looks?.findLast(({ findings }) => findings.length > 0) ?? newest;
  const proven = (newest?.promotion.length ?? 0) > 0 && (newest?.promotion.every((proof) => proof.proven) ?? false);
  const { word, measures } = checks[check];
  const partial = eventsError ?? evidenceError;
  // Before any traffic the gate is the whole story.
  const gateFirst = series.measured === 0 && rollout.plan['gate'] != null;
  const proof = <ProofCard rollout={rollout} evidence={judged} />;
  return (
    <>
      <title>{`${rollout.candidate.label} of ${rollout.model} · Serin`}</title>
      <nav className={classes['crumbs']} aria-label="Breadcrumb">
        <Link to="/">Rollouts</Link>
        <span aria-hidden="true">/</span>
        <span>
          {rollout.model} {rollout.candidate.label}
        </span>
      </nav>
      <StateHead rollout={rollout} events={events} proven={proven} />
      {partial ? <ProblemNotice error={partial} /> : null}
      <div className={classes['grid']}>
        <div className={classes['wide']}>
          {gateFirst ? proof : null}
          <Card title={`${word} over time`} aside={measures}>
            <IntervalChart series={series} marks={marks} name={word} over={hasEnded(rollout.phase)} />
          </Card>
          <ChecksTable evidence={judged} shown={check} />
          {gateFirst ? null : proof}
        </div>
        <div className={classes['side']}>
          <TrafficCard rollout={rollout} newest={newest} events={events} />
          <Timeline events={events} />
        </div>
      </div>
    </>
  );
}
