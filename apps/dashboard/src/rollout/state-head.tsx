// The first thing an on-call engineer reads: what is going on, in one sentence, whether traffic has moved, and what can be done about it.
import type { RolloutEventResource, RolloutResource } from '#libs/contract';
import { CopyButton } from '../app/copy-button.js';
import { SignMark } from '../app/sign.js';
import { Tag } from '../app/tag.js';
import { Age } from '../app/time.js';
import { hasEnded, phases } from '../words/names.js';
import { Actions } from './actions.js';
import { incidentText } from './incident-text.js';
import classes from './state-head.module.css';
import { movement } from './traffic-text.js';

export function StateHead({
  rollout,
  events,
  proven,
}: {
  readonly rollout: RolloutResource;
  readonly events: readonly RolloutEventResource[];
  readonly proven: boolean;
}) {
  const moved = hasEnded(rollout.phase) ? movement(rollout) : null;
  return (
    <section className={classes['head']} aria-label="State">
      <div className={classes['names']}>
        <Tag named={phases[rollout.phase]} label="Phase" />
        <h1>{rollout.model}</h1>
        <span className={classes['versions']}>
          {rollout.stable.label} (stable) → {rollout.candidate.label} (candidate)
        </span>
        <span className={classes['started']}>
          started <Age at={rollout.createdAt} /> by {rollout.createdBy}
        </span>
      </div>
      <p className={classes['sentence']} data-testid="state-sentence">
        {rollout.sentence}
      </p>
      <span className="unseen" role="status">
        {phases[rollout.phase].word}
      </span>
      <div className={classes['actions']}>
        {moved ? (
          <p className={classes['moved']} data-tone={moved.tone} data-testid="movement">
            <SignMark sign={moved.tone === 'good' ? 'tick' : 'clock'} />
            {moved.text}
          </p>
        ) : null}
        <Actions rollout={rollout} proven={proven} />
        <span className={classes['push']} />
        <CopyButton text={() => incidentText(rollout, events, window.location.href)}>Copy for incident</CopyButton>
      </div>
    </section>
  );
}
