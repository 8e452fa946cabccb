// The closing proof, from the outside: every alert arrived exactly once with a valid signature, and no request was lost.
import { systemClock } from '#libs/base';
import type { Ending } from './follow.js';
import type { Stage } from './stage.js';
import type { Story } from './story.js';

const patienceMs = 15_000;

/** Waits for the last webhooks, prints what the receiver holds and returns whether all of it is as promised. */
export async function printProof(endings: readonly Ending[], stage: Stage, story: Story): Promise<boolean> {
  const { receiver, traffic } = stage;
  const wanted = endings.map((ending) => ({
    ending,
    type: ending.rollout.phase === 'promoted' ? 'rollout.promoted' : 'rollout.rolled_back',
  }));
  const giveUpAt = systemClock.monotonicMs() + patienceMs;
  while (systemClock.monotonicMs() < giveUpAt && wanted.some(({ ending, type }) => receiver.about(ending.rollout.id, type).length === 0)) {
    await systemClock.sleep(200);
  }
  let good = receiver.badSignatures === 0;
  story.heading('What the on-call receiver got (signatures judged by the standardwebhooks package)');
  for (const { ending, type } of wanted) {
    const events = receiver.about(ending.rollout.id, type);
    const times = events.reduce((sum, event) => sum + event.times, 0);
    const once = events.length === 1 && times === 1;
    good &&= once;
    console.log(`  ${ending.role.label}  ${type.padEnd(20)}  ${once ? 'once' : `${times} times`}  ${events[0]?.id ?? '-'}`);
  }
  const doubled = [...receiver.events.values()].filter((event) => event.times > 1).length;
  console.log(`  all events: ${receiver.events.size}; delivered twice: ${doubled}; invalid signatures: ${receiver.badSignatures}`);
  const failed = traffic.failed();
  console.log(`  requests of the replayed traffic: ${traffic.sightings.length}; without an answer: ${failed.length}`);
  for (const sighting of failed.slice(0, 5)) console.log(`    ${sighting.error ?? ''}`);
  return good && doubled === 0;
}
