// Everything that a decision may know, put together: windows judged, gateways' reports, the gate's answer, stable's reference, the operator's command.
import type { JudgeOptions, Ledger } from '#libs/analysis';
import type { ArmHealth, Evidence } from '#libs/rollout';
import type { GatewayRow, RolloutEpoch, RolloutRecord } from '#libs/storage';
import type { Remembered, Surroundings } from './rollout-memory.js';
import { expectedShifts } from './shadow-sight.js';

/** Health of one version over the live gateways. The candidate must be well everywhere; stable is there as long as one gateway can serve it. */
export function healthOf(versionId: string, arm: 'stable' | 'candidate', gateways: readonly GatewayRow[]): ArmHealth {
  const live = gateways.filter((gateway) => gateway.live);
  if (live.length === 0) return { state: 'unknown', reason: 'no live gateway reported' };
  const engines = live.map((gateway) => gateway.engines[versionId]);
  const failed = engines.find((engine) => engine?.state === 'failed');
  const ready = engines.filter((engine) => engine?.state === 'ready').length;
  if (arm === 'stable' ? ready > 0 : ready === engines.length) return { state: 'ready' };
  if (failed) return { state: 'failed', ...(failed.reason ? { reason: failed.reason } : {}) };
  const away = engines.filter((engine) => engine?.state === 'unreachable');
  const [out] = away;
  // Away for all since the last gateway lost it.
  if (out)
    return { state: 'unreachable', ...(out.reason ? { reason: out.reason } : {}), forS: Math.min(...away.map((one) => one?.forS ?? 0)) };
  return { state: 'loading' };
}

/** Live gateways, and how many serve by this generation (of this incarnation of the database) or a newer one. */
export function appliedBy(
  gateways: readonly GatewayRow[],
  incarnation: string,
  generation: number,
): { live: number; applied: number; missing: string[] } {
  const live = gateways.filter((gateway) => gateway.live);
  const missing = live
    .filter((gateway) => gateway.incarnation !== incarnation || gateway.generation < generation)
    .map((gateway) => gateway.id);
  return { live: live.length, applied: live.length - missing.length, missing };
}

/** Lowest generation that a live gateway serves by, of this incarnation of the database: one that serves by another's has observed nothing (0). */
export function observedBy(gateways: readonly GatewayRow[], incarnation: string): number | null {
  const live = gateways.filter((gateway) => gateway.live);
  return live.length === 0 ? null : Math.min(...live.map((gateway) => (gateway.incarnation === incarnation ? gateway.generation : 0)));
}

/** JSON holds no infinities: a number that is none becomes null, so that stored evidence reads back as it was judged. */
export function jsonSafe<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The evidence of one rollout as `decide` sees it and as it is stored. Pure. `interval`: with the bounds of the effects, which decide nothing. */
export function evidenceOf(one: Remembered, around: Surroundings, { interval }: { readonly interval: boolean }): Evidence {
  const { record, ledger, epochs, gate, reference, shadow } = one;
  const { at, gateways } = around;
  const { live, applied } = appliedBy(gateways, around.incarnation, record.generation);
  return jsonSafe({
    at,
    watermark: around.snapshot,
    epoch: record.epoch,
    arms: {
      stable: healthOf(record.stableVersionId, 'stable', gateways),
      candidate: healthOf(record.candidateVersionId, 'candidate', gateways),
    },
    gateways: { live, applied },
    gate,
    ...(shadow && !record.scores ? { shadow: shadow.evidence, expected: expectedShifts(shadow.bands) } : {}),
    reference: record.scores
      ? { responses: record.scores.responses, fitted: true }
      : { responses: reference.responses, fitted: reference.fitted !== undefined },
    ...judgedPart(ledger, { ...judgeOptions(record, epochs, at), interval }),
    command: record.command,
  });
}

/** What of the evidence comes from windows: live and in a replay the same. */
export function judgedPart(
  ledger: Ledger,
  options: JudgeOptions,
): Pick<Evidence, 'findings' | 'combined' | 'promotion' | 'counts' | 'drift'> {
  const { findings, combined, promotion, counts, drift } = ledger.judge(options);
  return { findings, combined, promotion, counts, drift };
}

/** What a rollout and its plan ask of the judgement at one instant. */
export function judgeOptions(
  { epoch, scores, plan }: Pick<RolloutRecord, 'epoch' | 'scores' | 'plan'>,
  epochs: readonly RolloutEpoch[],
  now: number,
): JudgeOptions {
  const { checks, promotion, guards, alpha } = plan;
  return { epochs, currentEpoch: epoch, scores, checks, promotion, guards, alpha, now };
}
