// The control loop under crashes, failures and lost replies, by seeds; and a list of planted bugs that must be found.
import { describe, expect, it } from 'vitest';
import type { Bug } from './model-store.js';
import { simulate } from './world.js';

const bugs: readonly Bug[] = [
  'no-compare-and-set',
  'lease-epoch-stays',
  'lease-taken-early',
  'lease-for-ever',
  'no-outbox',
  'generation-stays',
  'epoch-stays',
  'command-lost',
  'command-stays',
  'evidence-lost',
  'table-not-derived',
  'ended-goes-on',
  'stable-not-set',
  'hold-overwrites',
  'half-written',
];

const patienceMs = 3_600_000;
const from = Number(process.env['SIMULATION_FROM'] ?? 0);
const seeds = Number(process.env['SIMULATION_SEEDS'] ?? 300);

async function firstFailing(bug: Bug, first: number, count: number): Promise<string | null> {
  for (let seed = first; seed < first + count; seed += 1) {
    const { violation } = await simulate(seed, bug);
    if (violation) return `seed ${seed}: ${violation}`;
  }
  return null;
}

describe('the control loop', () => {
  it(
    'keeps its promises in every seed',
    async () => {
      expect(await firstFailing('none', from, seeds)).toBeNull();
    },
    patienceMs,
  );

  it('does the same again from the same seed', async () => {
    for (const seed of [1, 2, 3]) expect(await simulate(seed)).toEqual(await simulate(seed));
  });

  it.each(bugs)(
    'shows the planted bug %s',
    async (bug) => {
      expect(await firstFailing(bug, 0, 400)).not.toBeNull();
    },
    patienceMs,
  );
});
