// Who gets how much traffic, where in the plan that is, and whether the gateways have taken it over.
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import { Age } from '../app/time.js';
import { count, weight } from '../words/format.js';
import { Card } from './card.js';
import { stepDots } from './steps.js';
import classes from './traffic-card.module.css';

const stepWords = { done: 'passed', now: 'now', ahead: 'ahead' } as const;

interface Props {
  readonly rollout: RolloutResource;
  readonly newest: EvidenceResource | undefined;
  readonly events: readonly RolloutEventResource[];
}

export function TrafficCard({ rollout, newest, events }: Props) {
  const promoted = rollout.phase === 'promoted';
  const onCandidate = promoted ? 100 : rollout.weightPct;
  const lastWeighted = events.findLast(({ toPhase }) => toPhase === 'progressing' || toPhase === 'baking');
  const { live, applied, missing } = rollout.gateways;
  // The row forgets its step at the end; the last decision before it does not.
  const step = rollout.step ?? stepOf(rollout, lastWeighted);
  return (
    <Card title="Traffic">
      <div
        className={classes['split']}
        role="img"
        aria-label={`${weight(100 - onCandidate)} on ${rollout.stable.label}, ${weight(onCandidate)} on ${rollout.candidate.label}`}
      >
        {onCandidate < 100 ? <div className={classes['stable']} style={{ flexGrow: 100 - onCandidate }} /> : null}
        {onCandidate > 0 ? <div className={classes['candidate']} style={{ flexGrow: onCandidate }} /> : null}
      </div>
      <div className={classes['arms']}>
        <div>
          <b>{weight(100 - onCandidate)}</b>
          <span>{rollout.stable.label} · stable</span>
        </div>
        <div>
          <b>{weight(onCandidate)}</b>
          <span>{rollout.candidate.label} · candidate</span>
        </div>
      </div>
      <ol className={classes['steps']} aria-label="Steps of the plan">
        {stepDots({ ...rollout, step }, lastWeighted?.toPhase === 'baking' && rollout.phase !== 'progressing').map((dot, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a plan's steps never change places.
          <li key={index} className={classes['step']} data-state={dot.state} aria-current={dot.state === 'now' ? 'step' : undefined}>
            {dot.label}
            <span className="unseen">, {stepWords[dot.state]}</span>
          </li>
        ))}
      </ol>
      <dl className={classes['facts']}>
        <dt>Gateways on generation {rollout.generation}</dt>
        <dd data-testid="gateways">
          {applied} of {live}
          {missing.length > 0 ? `, waiting for ${missing.join(', ')}` : ''}
        </dd>
        <dt>Candidate responses</dt>
        <dd>
          {count(newest?.counts.candidate ?? 0)}
          {newest?.counts.lastCandidateAt ? (
            <>
              , newest <Age at={newest.counts.lastCandidateAt} />
            </>
          ) : null}
        </dd>
        <dt>Stable responses</dt>
        <dd>
          {count(newest?.counts.stable ?? 0)}
          {newest?.counts.lastStableAt ? (
            <>
              , newest <Age at={newest.counts.lastStableAt} />
            </>
          ) : null}
        </dd>
        <dt>Reference of {rollout.stable.label}</dt>
        <dd>{newest?.reference.fitted ? `${count(newest.reference.responses)} responses` : 'being gathered'}</dd>
        {newest ? (
          <>
            <dt>Engines</dt>
            <dd>
              {rollout.stable.label} {newest.arms.stable.state}, {rollout.candidate.label} {newest.arms.candidate.state}
            </dd>
          </>
        ) : null}
      </dl>
    </Card>
  );
}

function stepOf({ plan }: RolloutResource, last: RolloutEventResource | undefined): number | null {
  const { steps } = plan as { steps?: unknown };
  if (!last || !Array.isArray(steps)) return null;
  const index = steps.findIndex((step: { weightPct?: unknown }) => Number(step.weightPct) === last.weightPct);
  return index === -1 ? null : index;
}
