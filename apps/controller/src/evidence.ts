// Gathers everything that a decision may know: windows, gateways' reports, the gate's answer, stable's reference, the operator's command.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { type FrozenScores, fitScores, judge, referenceResponses, type Window } from '#libs/analysis';
import type { ArmHealth, Evidence } from '#libs/rollout';
import type { GatewayRow, RolloutRecord } from '#libs/storage';
import { type ControlStores, STORES } from './stores.js';

/** One look: the evidence as it will be stored, and what the shell needs beside it. */
export interface Look {
  readonly evidence: Evidence;
  /** Scores fitted now, to be frozen when the candidate takes its first traffic; undefined when they are stored already or cannot be fitted. */
  readonly scores: FrozenScores | undefined;
  /** Assignment second of the candidate's first response; null while there is none. */
  readonly firstCandidateAt: number | null;
}

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

/** JSON holds no infinities: a number that is none becomes null, so that stored evidence reads back as it was judged. */
function jsonSafe<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

@Injectable()
export class EvidenceGatherer {
  constructor(@Inject(STORES) private readonly stores: ControlStores) {}

  /** Reads only. Cost: all windows of the rollout, a few tens of milliseconds at an hour of two gateways. */
  async gather(tx: EntityManager, record: RolloutRecord): Promise<Look> {
    const gateways = await this.stores.gateways.list(tx);
    const table = await this.stores.routing.read(tx);
    const { live, applied } = appliedBy(gateways, table?.incarnation ?? '', record.generation);
    const arms = {
      stable: healthOf(record.stableVersionId, 'stable', gateways),
      candidate: healthOf(record.candidateVersionId, 'candidate', gateways),
    };
    const gate = await this.gateOf(tx, record);
    const epochs = await this.stores.rollouts.epochs(tx, record.id);
    const windows = await this.stores.windows.ofRollout(tx, record.id);
    // After the windows: nothing judged may be younger than the instant it is judged at.
    const at = Math.floor(await this.stores.rollouts.now(tx));
    const { responses, fitted } = await this.fitReference(
      tx,
      record,
      at,
      arms.candidate.state === 'ready' && (!record.plan.gate || gate !== null),
    );
    const judgement = judge({
      windows,
      epochs,
      currentEpoch: record.epoch,
      scores: record.scores,
      checks: record.plan.checks,
      promotion: record.plan.promotion,
      guards: record.plan.guards,
      alpha: record.plan.alpha,
      now: at,
    });
    const evidence: Evidence = jsonSafe({
      at,
      epoch: record.epoch,
      arms,
      gateways: { live, applied },
      gate,
      reference: { responses, fitted: record.scores !== null || fitted !== undefined },
      findings: judgement.findings,
      combined: judgement.combined,
      promotion: judgement.promotion,
      counts: judgement.counts,
      command: record.command,
    });
    return { evidence, scores: fitted, firstCandidateAt: firstSecond(windows) };
  }

  private async fitReference(
    tx: EntityManager,
    record: RolloutRecord,
    at: number,
    wanted: boolean,
  ): Promise<{ responses: number; fitted: FrozenScores | undefined }> {
    if (record.scores) return { responses: record.scores.responses, fitted: undefined };
    // Scores are chosen before the first live response or not at all: fitting later would let the data choose its own test.
    if (record.weight > 0 || !wanted) return { responses: 0, fitted: undefined };
    const { maxAgeS, minResponses, minPerClass } = record.plan.reference;
    const reference = await this.stores.windows.referenceOf(tx, record.stableVersionId, at - maxAgeS * 1000);
    return { responses: referenceResponses(reference), fitted: fitScores(reference, { minResponses, minPerClass }) ?? undefined };
  }

  private async gateOf(tx: EntityManager, record: RolloutRecord): Promise<Evidence['gate']> {
    if (!record.plan.gate) return null;
    return await this.stores.evaluations.gateOf(tx, record.id);
  }
}

function firstSecond(windows: readonly Window[]): number | null {
  const seconds = windows.filter(({ key, counts }) => key.arm === 'candidate' && counts.responses > 0).map(({ key }) => key.secondAt);
  return seconds.length === 0 ? null : seconds.reduce((least, second) => Math.min(least, second));
}
