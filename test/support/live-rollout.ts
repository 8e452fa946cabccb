// A rollout that is under way, as rows of a real database, and windows of its two arms.
import { randomUUID } from 'node:crypto';
import { addTo, bucketOf, emptyCounts, emptyHistograms, fitScores, type Window } from '#libs/analysis';
import { type ActivePhase, type Plan, weightOf } from '#libs/rollout';
import { type Database, ModelStore, RolloutStore, VersionStore } from '#libs/storage';
import { plan as defaultTestPlan } from './rollout.js';

export interface LiveRollout {
  readonly id: string;
  readonly model: string;
  readonly modelId: string;
  readonly stableId: string;
  readonly candidateId: string;
}

/** Two versions and a rollout of the second in `phase`, epoch 1, due at once; scores are fitted on ordinary answers. */
export async function aLiveRollout(
  database: Database,
  { plan = defaultTestPlan, phase }: { readonly plan?: Plan; readonly phase?: ActivePhase } = {},
): Promise<LiveRollout> {
  const { manager: tx } = database;
  const model = `model-${randomUUID()}`;
  const [modelId, stableId, candidateId, id] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  await new ModelStore().create(tx, { id: modelId, name: model, defaultPlan: {} });
  for (const [versionId, label] of [
    [stableId, 'v1'],
    [candidateId, 'v2'],
  ] as const)
    await new VersionStore().register(tx, {
      id: versionId,
      modelId,
      label,
      spec: { engine: { kind: 'llama', file: `${label}-${model}.gguf` } },
      lineage: {},
      createdBy: 'test',
    });
  await new ModelStore().setStable(tx, modelId, stableId);
  const rollouts = new RolloutStore();
  const created = await rollouts.create(tx, {
    id,
    modelId,
    stableVersionId: stableId,
    candidateVersionId: candidateId,
    plan,
    salt: 'ab',
    createdBy: 'test',
  });
  if (!created.ok) throw new Error(created.fault.message);
  const now = await rollouts.now(tx);
  const at = phase ?? { phase: 'progressing' as const, step: 0, since: Math.floor(now) };
  const scores = fitScores([anArmWindow({ id, stableId, candidateId }, 'stable', 0, 600, 1)], { minResponses: 1, minPerClass: 1 });
  const weight = weightOf(at, plan);
  await tx.query(`update rollouts set phase = $2, state = $3, weight = $4, epoch = 1, scores = $5 where id = $1`, [
    id,
    at.phase,
    JSON.stringify(at),
    weight,
    JSON.stringify(scores),
  ]);
  await tx.query('insert into rollout_epochs (rollout_id, epoch, weight) values ($1, 1, $2)', [id, weight]);
  return { id, model, modelId, stableId, candidateId };
}

/** `n` answers of one arm in one second; `shift` multiplies their entropy. */
export function anArmWindow(
  { id, stableId, candidateId }: Pick<LiveRollout, 'id' | 'stableId' | 'candidateId'>,
  arm: 'stable' | 'candidate',
  secondAt: number,
  n: number,
  shift: number,
): Window {
  const histograms = emptyHistograms();
  for (let one = 0; one < n; one += 1) {
    // Spread as answers are, without luck: quantiles of a log-normal law.
    const spread = Math.exp(0.4 * Math.tan(((one + 0.5) / n - 0.5) * 2));
    addTo(histograms.entropy, bucketOf(0.5 * spread * shift));
    addTo(histograms.length, bucketOf(80 * spread));
    addTo(histograms.ttft, bucketOf(60 * spread));
    addTo(histograms.interToken, bucketOf(9 * spread));
    addTo(histograms.total, bucketOf(900 * spread));
    addTo(histograms.input, bucketOf(120 * spread));
  }
  return {
    key: {
      model: 'support',
      versionId: arm === 'stable' ? stableId : candidateId,
      rolloutId: id,
      epoch: 1,
      arm,
      promptClass: secondAt % 3_000 === 0 ? 'code' : 'chat',
      secondAt,
    },
    counts: { ...emptyCounts(), responses: n, units: n, lnTotalCount: n, lnTotalSum: n * Math.log(900), histograms },
  };
}
