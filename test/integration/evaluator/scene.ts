// A model with two versions and a test set of sums, as a controller would have left them, for the evaluator to work on.
import { randomUUID } from 'node:crypto';
import { systemClock } from '#libs/base';
import type { GatePolicy } from '#libs/rollout';
import { type Database, type EvaluationRow, EvaluationStore, ModelStore, RoutingStore, TestSetStore, VersionStore } from '#libs/storage';

export interface Scene {
  readonly model: string;
  readonly testSet: string;
  readonly candidateId: string;
  readonly baselineId: string;
}

/** `count` questions "n+1" whose answer is the number after n. */
export async function setScene(database: Database, count: number): Promise<Scene> {
  const name = `m-${randomUUID().slice(0, 8)}`;
  return await database.transaction(async (tx) => {
    const modelId = randomUUID();
    await new ModelStore().create(tx, { id: modelId, name, defaultPlan: {} });
    const ids: string[] = [];
    for (const label of ['v1', 'v2']) {
      const spec = { engine: { kind: 'openai', baseUrl: 'http://upstream.example', model: `${name}-${label}` } };
      const registered = await new VersionStore().register(tx, { id: randomUUID(), modelId, label, spec, lineage: {}, createdBy: 'test' });
      if (!registered.ok) throw new Error(registered.fault.message);
      ids.push(registered.value.version.id);
    }
    const [baselineId = '', candidateId = ''] = ids;
    await new ModelStore().setStable(tx, modelId, baselineId);
    const sets = new TestSetStore();
    const set = await sets.create(tx, { id: randomUUID(), name: `${name}-sums` });
    if (!set.ok) throw new Error(set.fault.message);
    const cases = Array.from({ length: count }, (_, n) => ({
      id: `sum-${n}`,
      kind: n % 2 === 0 ? 'even' : 'odd',
      messages: [{ role: 'user', content: `${n}+1` }],
      expected: String(n + 1),
      scoring: { type: 'exact' },
    }));
    await sets.freeze(tx, { id: randomUUID(), testSetId: set.value.id, cases, createdBy: 'test' });
    return { model: name, testSet: set.value.name, candidateId, baselineId };
  });
}

export async function queue(database: Database, scene: Scene, policy: Partial<GatePolicy> = {}, alone = false): Promise<string> {
  return await database.transaction(async (tx) => {
    const id = await new EvaluationStore().request(tx, {
      rolloutId: null,
      model: scene.model,
      candidateVersionId: scene.candidateId,
      baselineVersionId: alone ? null : scene.baselineId,
      testSet: scene.testSet,
      policy: { testSet: scene.testSet, margin: 0.02, minCases: 10, maxErrorShare: 0.02, ...policy },
    });
    await new RoutingStore().rebuild(tx);
    return id;
  });
}

/** The evaluation once `ready` says so; an error that shows it after most of a minute. */
export async function until(
  database: Database,
  id: string,
  ready: (row: EvaluationRow) => boolean = (row) => row.finishedAt !== null,
): Promise<EvaluationRow> {
  const giveUpAtMs = systemClock.monotonicMs() + 50_000;
  for (;;) {
    const row = await new EvaluationStore().get(database.manager, id);
    if (row && ready(row)) return row;
    if (systemClock.monotonicMs() > giveUpAtMs) throw new Error(`not in time: ${JSON.stringify(row)}`);
    await systemClock.sleep(50);
  }
}
