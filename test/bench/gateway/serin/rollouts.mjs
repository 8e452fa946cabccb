// Models, versions and rollouts in the tables, written by the stores that the controller writes them by.
import { randomBytes, randomUUID } from 'node:crypto';
import { defaultPlan } from '#libs/rollout';
import { LeaseStore, ModelStore, notifyRollout, RolloutStore, RoutingStore, VersionStore } from '#libs/storage';
import { nowMs } from '../clock.mjs';

const models = new ModelStore();
const versions = new VersionStore();
const rollouts = new RolloutStore();
const leases = new LeaseStore();
const routing = new RoutingStore();
const owner = 'bench';
const leaseMs = 60_000;
const mostClaims = 100;
/** No controller looks by itself. */
const never = 4_102_444_800_000;

function must(outcome) {
  if (!outcome.ok) throw new Error(`${outcome.fault.code}: ${outcome.fault.message}`);
  return outcome.value;
}

/** A version behind an OpenAI-compatible upstream, as `POST /versions` would register it. */
export function upstreamSpec(port, model, logprobs = undefined) {
  return { engine: { kind: 'openai', baseUrl: `http://127.0.0.1:${port}/v1`, model, ...(logprobs ? { logprobs } : {}) } };
}

/** Registers a model with its versions by label and makes `stable` the one that answers. */
export async function register(database, name, specs, stable) {
  return await database.transaction(async (tx) => {
    const model = must(await models.create(tx, { id: randomUUID(), name, defaultPlan: {} }));
    const ids = {};
    for (const [label, spec] of Object.entries(specs)) {
      const made = must(await versions.register(tx, { id: randomUUID(), modelId: model.id, label, spec, lineage: {}, createdBy: 'bench' }));
      ids[label] = made.version.id;
    }
    await models.setStable(tx, model.id, ids[stable]);
    await routing.rebuild(tx);
    return { name, modelId: model.id, stable, ids };
  });
}

/** A rollout on its first step with this share of the traffic; resolves to its id and the routing generation that carries it. */
export async function startRollout(database, model, candidate, weight) {
  const id = randomUUID();
  const step = { weightPct: weight * 100, minS: 86_400, minResponses: 1_000_000, deadlineS: 864_000 };
  const generation = await database.transaction(async (tx) => {
    must(
      await rollouts.create(tx, {
        id,
        modelId: model.modelId,
        stableVersionId: model.ids[model.stable],
        candidateVersionId: model.ids[candidate],
        plan: { ...defaultPlan, steps: [step] },
        salt: randomBytes(32).toString('hex'),
        createdBy: 'bench',
      }),
    );
    return await move(tx, id, { phase: 'progressing', since: Date.now(), step: 0 }, weight);
  });
  return { id, generation };
}

/** Rolls back as the controller does; `committedAtMs` is when COMMIT left this process. */
export async function rollBack(database, id) {
  const phase = { phase: 'rolledBack', at: Date.now(), reason: { code: 'operator', text: 'bench' } };
  let committedAtMs = 0;
  const generation = await database.transaction(async (tx) => {
    must(await rollouts.setCommand(tx, id, { kind: 'rollback', reason: 'bench', actor: 'bench' }));
    const moved = await move(tx, id, phase, 0);
    committedAtMs = nowMs();
    return moved;
  });
  return { committedAtMs, generation };
}

async function move(tx, id, next, weight) {
  await leases.claim(tx, { owner, leaseMs, limit: mostClaims });
  const lease = (await leases.due(tx, owner)).find((due) => due.id === id);
  const record = await rollouts.get(tx, id);
  if (lease === undefined || record === null) throw new Error(`rollout ${id} is not free`);
  const change = { next, weight, epoch: record.epoch + 1, nextLookAt: never, ended: next.phase === 'rolledBack' };
  must(await rollouts.commitDecision(tx, record, lease, change));
  const generation = await routing.rebuild(tx);
  await rollouts.setGeneration(tx, id, generation);
  await notifyRollout(tx, id);
  return generation;
}
