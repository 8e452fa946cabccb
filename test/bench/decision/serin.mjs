// Serin's rule in the benchmark: the product's windows, ledger, judgement and decision, fed with the simulated traffic.
import { fitScores, Ledger, WindowBook } from '../../../dist/libs/analysis/src/index.js';
import { decide, defaultPlan } from '../../../dist/libs/rollout/src/index.js';
import { classes, World } from './world.mjs';

const referenceResponses = 20_000;
const startedAt = 1_800_000_000_000;
const versions = ['stable', 'candidate'];

function observationOf(one, arm, serial) {
  return {
    model: 'chat',
    versionId: versions[one.arm],
    rolloutId: arm === null ? null : 'r',
    epoch: arm === null ? null : 1,
    arm,
    promptClass: classes[one.index].name,
    unit: `u${serial}`,
    assignedAt: startedAt + one.atMs,
    outcome: one.error ? 'error' : 'ok',
    finishReason: 'stop',
    queueWaitMs: 0,
    ttftMs: one.ttftMs,
    interTokenMs: one.interTokenMs,
    totalMs: one.totalMs,
    inputTokens: 200,
    outputTokens: one.tokens,
    entropyMeanNats: one.entropyNats,
    entropyMaxNats: one.entropyNats,
    nllMeanNats: null,
    refused: one.refused,
    looped: one.looped,
    countedUnfinished: false,
    costMicros: null,
  };
}

/** Scores fitted on stable alone, as the controller does before the first live response. */
export function referenceOf(world) {
  const source = new World(world.seed, { ...world, weight: 0, effect: {} });
  const book = new WindowBook();
  const one = {};
  for (let serial = 0; serial < referenceResponses; serial += 1) book.add(observationOf(source.next(one), null, serial));
  const { minResponses, minPerClass } = defaultPlan.reference;
  return fitScores(book.drain(), { minResponses, minPerClass });
}

/** The default plan on one step that nothing leaves forward: what is counted is whether it is taken back. */
export function planOf(weight, checks = {}) {
  return {
    ...defaultPlan,
    steps: [{ weightPct: weight * 100, minS: 1e9, minResponses: 1e9, deadlineS: 1e9 }],
    checks: { ...defaultPlan.checks, ...checks },
    noDataLimitS: 1e9,
  };
}

const off = Object.fromEntries(Object.entries(defaultPlan.checks).map(([name, check]) => [name, { ...check, enabled: false }]));
/** One check alone with all of alpha, held to stable without a margin: what the theory's limit is compared with. */
export const alone = {
  entropy: { ...off, entropy: { ...defaultPlan.checks.entropy, weight: 1, up: 1e-9, down: 1e-9, expect: 'stable' } },
  errors: { ...off, errors: { ...defaultPlan.checks.errors, weight: 1, ratio: 1 } },
};

export class SerinRule {
  alarm = false;
  check = null;
  book = new WindowBook();
  ledger = new Ledger();
  serial = 0;
  changed = false;

  constructor(weight, scores, plan) {
    this.scores = scores;
    this.epochs = [{ epoch: 1, weight, since: startedAt }];
    this.plan = plan;
    this.rollout = {
      id: 'r',
      model: 'chat',
      stableVersionId: 'stable',
      candidateVersionId: 'candidate',
      plan,
      phase: { phase: 'progressing', since: startedAt, step: 0 },
      epoch: 1,
      epochSince: startedAt,
      createdAt: startedAt,
    };
  }

  add(one) {
    this.serial += 1;
    this.changed = true;
    this.book.add(observationOf(one, versions[one.arm], this.serial));
  }

  second(atS) {
    // A look without a new answer gives what the look before it gave.
    if (!this.changed) return;
    this.changed = false;
    this.ledger.add(this.book.drain());
    const now = startedAt + atS * 1000;
    const { checks, promotion, guards, alpha } = this.plan;
    const judgement = this.ledger.judge({
      epochs: this.epochs,
      currentEpoch: 1,
      scores: this.scores,
      checks,
      promotion,
      guards,
      alpha,
      now,
    });
    const decision = decide(
      this.rollout,
      {
        at: now,
        epoch: 1,
        arms: { stable: { state: 'ready' }, candidate: { state: 'ready' } },
        gateways: { live: 1, applied: 1 },
        gate: null,
        reference: { responses: referenceResponses, fitted: true },
        findings: judgement.findings,
        combined: judgement.combined,
        promotion: judgement.promotion,
        counts: judgement.counts,
        command: null,
      },
      now,
    );
    if (decision.transition !== 'rollback') return;
    this.alarm = true;
    this.check = decision.reason.check ?? null;
  }
}
