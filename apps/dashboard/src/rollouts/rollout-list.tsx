// `/`: every rollout, the live ones first, each with the sentence that states where it stands.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { RolloutResource } from '#libs/contract';
import { inOrder } from '../api/merge.js';
import { useRollouts } from '../api/rollouts.js';
import { ProblemNotice } from '../app/problem-notice.js';
import { Tag } from '../app/tag.js';
import { Age } from '../app/time.js';
import { weight } from '../words/format.js';
import { phases } from '../words/names.js';
import { Beginning } from './beginning.js';
import classes from './rollout-list.module.css';

function Row({ rollout }: { readonly rollout: RolloutResource }) {
  const live = rollout.endedAt === null;
  return (
    <li className={classes['row']} data-live={live} data-testid="rollout-row">
      <div>
        <Link to="/rollouts/$id" params={{ id: rollout.id }}>
          {rollout.model}
        </Link>
        <div className={classes['versions']}>
          {rollout.stable.label} → {rollout.candidate.label}
        </div>
      </div>
      <p className={classes['sentence']}>{rollout.sentence}</p>
      <div className={classes['state']}>
        <Tag named={phases[rollout.phase]} label="Phase" />
        {live ? (
          <>
            <div className={classes['share']} aria-hidden="true">
              <i style={{ width: `${rollout.weightPct}%` }} />
            </div>
            <span>
              {weight(rollout.weightPct)} on {rollout.candidate.label}
            </span>
          </>
        ) : (
          <Age at={rollout.endedAt ?? rollout.since} />
        )}
      </div>
    </li>
  );
}

function Section({ title, rollouts }: { readonly title: string; readonly rollouts: readonly RolloutResource[] }) {
  if (rollouts.length === 0) return null;
  return (
    <section className={classes['section']}>
      <h2>{title}</h2>
      <ul className={classes['rows']}>
        {rollouts.map((rollout) => (
          <Row key={rollout.id} rollout={rollout} />
        ))}
      </ul>
    </section>
  );
}

/** The first thing to know: is anything moving, or asking for somebody? */
function summary(live: readonly RolloutResource[]): string {
  const paused = live.filter(({ phase }) => phase === 'paused').length;
  if (live.length === 0) return 'Nothing is rolling out: every model is served by its stable version alone.';
  const running = `${live.length} ${live.length === 1 ? 'rollout is' : 'rollouts are'} live`;
  return paused === 0
    ? `${running}.`
    : `${running}; ${paused} ${paused === 1 ? 'is' : 'are'} paused and ${paused === 1 ? 'asks' : 'ask'} for a person.`;
}

export function RolloutList() {
  const { data, error, hasNextPage, fetchNextPage, isFetchingNextPage } = useRollouts();
  const rollouts = useMemo(() => inOrder(data?.pages.flatMap((page) => page.items) ?? []), [data]);
  if (!data) return error ? <ProblemNotice error={error} /> : null;
  const live = rollouts.filter(({ endedAt }) => endedAt === null);
  return (
    <>
      <title>Rollouts · Serin</title>
      <div className={classes['head']}>
        <h1>Rollouts</h1>
      </div>
      {rollouts.length === 0 ? <Beginning /> : <p data-testid="state-sentence">{summary(live)}</p>}
      <Section title="Live" rollouts={live} />
      <Section title="Ended" rollouts={rollouts.filter(({ endedAt }) => endedAt !== null)} />
      {hasNextPage ? (
        <div className={classes['more']}>
          <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Show older
          </Button>
        </div>
      ) : null}
    </>
  );
}
