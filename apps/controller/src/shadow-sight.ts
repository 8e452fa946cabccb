// What mirrors have shown of a rollout before any user meets its candidate: the shadow's evidence, and the bands to be frozen with the scores.
import { type FrozenScores, judgeShadow, type PairedWindow, type ShadowJudgement } from '#libs/analysis';
import type { ExpectedShift, ShadowEvidence } from '#libs/rollout';
import type { RolloutRecord } from '#libs/storage';

export interface ShadowSight {
  readonly evidence: ShadowEvidence;
  readonly bands: ShadowJudgement['bands'];
  /** Not asked again before, by the database's clock. */
  readonly againAt: number;
}

/** Mirrors of a rollout are read this often. */
const readAgainMs = 2_000;

/** Mirrors can still say something: the plan asks for their verdict, the candidate was sent some, and no user has met it. */
export function waitsForMirrors({ plan, phase, weight, scores }: RolloutRecord): boolean {
  const inner = phase.phase === 'paused' ? phase.from : phase;
  return (plan.shadow?.minPairs ?? 0) > 0 && weight === 0 && scores === null && inner.phase === 'shadowing';
}

export function shadowSight(windows: readonly PairedWindow[], { plan }: Pick<RolloutRecord, 'plan'>, at: number): ShadowSight {
  const { verdict, pairs, forced, findings, bands, note } = judgeShadow(windows, {
    checks: plan.checks,
    alpha: plan.alpha,
    maxExpectedShift: plan.maxExpectedShift,
    ...(plan.shadow ? { minPairs: plan.shadow.minPairs } : {}),
  });
  return { evidence: { verdict, pairs, forced, findings, note }, bands, againAt: at + readAgainMs };
}

/** Where entropy and length were, over all classes: what a plan may refuse as a shift that nobody expected. */
export function expectedShifts(bands: ShadowJudgement['bands']): ExpectedShift[] {
  return (['entropy', 'length'] as const).flatMap((metric) => {
    const all = bands[metric]?.['*'];
    return all ? [{ metric, lower: all.lower, upper: all.upper, source: all.source }] : [];
  });
}

/** Scores with the bands of those metrics that the plan holds to what was evaluated: frozen together, for both must be older than the first live answer. */
export function withBands(scores: FrozenScores, sight: ShadowSight | null, { plan }: Pick<RolloutRecord, 'plan'>): FrozenScores {
  const wanted = (['entropy', 'length'] as const).filter((metric) => plan.checks[metric].expect === 'evaluated');
  const bands = Object.fromEntries(wanted.flatMap((metric) => (sight?.bands[metric] ? [[metric, sight.bands[metric]]] : [])));
  return Object.keys(bands).length === 0 ? scores : { ...scores, bands };
}
