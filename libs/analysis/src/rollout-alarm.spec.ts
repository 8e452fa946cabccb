import { describe, expect, it } from 'vitest';
import { defaultPlan } from '#libs/rollout';
import { testedOptions } from '../../../test/support/judge-options.js';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import { addTo, bucketOf, type CheckOptions, emptyHistograms, fitScores, Ledger, scoreBin, type Window } from './index.js';

const uniform = uniforms(41);
const normal = normals(uniform);
const alpha = 0.05;
const timeoutMs = 30_000;
const centres = { chat: 0.3, code: 0.7, prose: 1.3 };
const names = Object.keys(centres) as (keyof typeof centres)[];

/** What both arms meet alike: slow times and outages. */
interface World {
  slow: number;
  outage: boolean;
}

function answer(arm: Window['key']['arm'], second: number, world: World, entropy = 1): Window {
  if (uniform() < 0.003) world.slow = world.slow === 1 ? 3 : 1;
  if (uniform() < 0.01) world.outage = uniform() < 0.1;
  const promptClass = names[Math.floor(uniform() * names.length)] ?? 'chat';
  const key = { arm, epoch: arm ? 1 : null, promptClass, secondAt: second * 1_000 };
  if (uniform() < (world.outage ? 0.2 : 0.005)) return aWindow(key, { responses: 1, units: 1, errors: 1 });
  const histograms = emptyHistograms();
  const length = Math.exp(0.5 * normal());
  addTo(histograms.entropy, bucketOf(centres[promptClass] * entropy * Math.exp(0.45 * normal())));
  addTo(histograms.length, bucketOf(100 * length));
  addTo(histograms.cost, bucketOf(50 * length));
  addTo(histograms.total, bucketOf(2_000 * world.slow * Math.exp(0.6 * normal())));
  addTo(histograms.ttft, bucketOf(200 * world.slow * Math.exp(0.4 * normal())));
  addTo(histograms.interToken, bucketOf(15 * world.slow * Math.exp(0.3 * normal())));
  addTo(histograms.quality, scoreBin(0.7 + 0.15 * normal()));
  const events = { refusals: uniform() < 0.02 ? 1 : 0, loops: uniform() < 0.01 ? 1 : 0 };
  return aWindow(key, { responses: 1, units: 1, lnTotalCount: 1, ...events, histograms });
}

const scores = fitScores(
  Array.from({ length: 3_000 }, () => answer(null, 0, { slow: 1, outage: false })),
  { minResponses: 500, minPerClass: 500 },
);
const { checks } = defaultPlan;
/** Every check, without any margin: equal versions lie on the boundary of each, where a false rollback is likeliest. */
const all: CheckOptions = {
  entropy: { ...checks.entropy, up: 0, down: 0 },
  shape: { ...checks.shape, ratio: 1 },
  length: { ...checks.length, up: 0, down: 0 },
  errors: { ...checks.errors, ratio: 1 },
  refusals: { ...checks.refusals, ratio: 1 },
  latency: { ...checks.latency, margin: 0, gross: 0, settleS: 0 },
  cost: { ...checks.cost, enabled: true, up: 0 },
  quality: { ...checks.quality, enabled: true, down: 0, sampleStable: 1, sampleCandidate: 1 },
  memory: checks.memory,
};

/** Share of rollouts that are taken back at any of the looks, one a few seconds. */
function rolledBack(runs: number, weight: number, entropy: number): number {
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const world: World = { slow: 1, outage: false };
    const ledger = new Ledger({ sliceMs: 30_000 });
    for (let look = 1; look <= 30; look += 1) {
      ledger.add(
        Array.from({ length: 50 }, (_, at) => {
          const candidate = uniform() < weight;
          return answer(candidate ? 'candidate' : 'stable', (look - 1) * 5 + Math.floor(at / 10), world, candidate ? entropy : 1);
        }),
      );
      const epochs = [{ epoch: 1, weight, since: 0 }];
      const { combined } = ledger.judge(testedOptions({ epochs, scores, checks: all, alpha, now: look * 5_000 }));
      if (combined.logE < combined.threshold) continue;
      alarms += 1;
      break;
    }
  }
  return alarms / runs;
}

describe('all checks together', () => {
  it.each([0.05, 0.5])(
    'take back equal versions in at most the promised share of rollouts, at %f of traffic',
    (weight) => {
      expect(rolledBack(20, weight, 1)).toBeLessThanOrEqual(alpha);
    },
    timeoutMs,
  );

  it('take back a version that is worse, so the bound above is not that of a blind judge', () => {
    expect(rolledBack(10, 0.5, 1.6)).toBeGreaterThan(0.9);
  });
});
