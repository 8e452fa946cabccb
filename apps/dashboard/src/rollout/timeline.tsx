// What was decided, by whom and why, newest first.
import type { RolloutEventResource } from '#libs/contract';
import { SignMark } from '../app/sign.js';
import { Age, Clock } from '../app/time.js';
import { weight } from '../words/format.js';
import { type Named, phases } from '../words/names.js';
import { Card } from './card.js';
import classes from './timeline.module.css';

function namedOf({ transition, reason, toPhase }: RolloutEventResource): Named {
  if (reason.code === 'command.refused') return { word: 'Refused', tone: 'wait', sign: 'stop' };
  return transition === 'create' ? phases.pending : phases[toPhase];
}

export function Timeline({ events }: { readonly events: readonly RolloutEventResource[] | undefined }) {
  return (
    <Card title="Events" aside="newest first">
      <ol className={classes['list']} data-testid="events">
        {(events ?? []).toReversed().map((event) => {
          const { tone, sign } = namedOf(event);
          return (
            <li key={event.seq} className={classes['item']}>
              <span className={classes['mark']} data-tone={tone}>
                <SignMark sign={sign} size={13} />
              </span>
              <div>
                <p className={classes['text']}>{event.sentence}</p>
                <p className={classes['meta']}>
                  <Clock at={event.at} /> · <Age at={event.at} /> · {event.actor} ·{' '}
                  {weight(event.toPhase === 'promoted' ? 100 : event.weightPct)} · generation {event.generation}
                </p>
              </div>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}
