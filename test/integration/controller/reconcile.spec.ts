// The reconcile loop on a real database, with a real gateway and programmable engines: three controllers, one decision each time, whole or not at all.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningController } from '#apps/controller';
import type { ReplayResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import { type FakeBehaviour, FakeEngine } from '#libs/engine';
import type { Reason } from '#libs/rollout';
import { RolloutStore } from '#libs/storage';
import { startTestController, type TestController } from '../../support/controller.js';
import { aGateway, aKey, fakeFactory, type TestGateway, until, untilServing } from '../../support/gateway.js';

const behaviours: Record<string, FakeBehaviour> = {
  v1: { entropyNats: 0.5 },
  good: { entropyNats: 0.5 },
  unsure: { entropyNats: 1.5 },
  failing: { failWith: () => ({ code: 'engine.crashed', message: 'out of luck', retryable: true }) },
};
const engines = Object.fromEntries(Object.entries(behaviours).map(([label, behaviour]) => [label, new FakeEngine(behaviour)]));
/** Quick to prove, quick to fail; latency of engines that do nothing says nothing. */
const plan = {
  steps: [{ weightPct: 50, minS: 1, minResponses: 20, deadlineS: 120 }],
  bakeS: 1,
  checks: { latency: { enabled: false }, errors: { proofMargin: 0.2 } },
  guards: { minS: 1 },
  reference: { minResponses: 40, minPerClass: 40 },
};

let controller: TestController;
let others: RunningController[];
let gateway: TestGateway;
let key: string;
beforeAll(async () => {
  controller = await startTestController();
  others = [await controller.another(), await controller.another()];
  key = await aKey(controller.test);
  await controller.call('POST', '/api/v1/models', { name: 'support', defaultPlan: plan });
  for (const label of Object.keys(behaviours))
    await controller.call('POST', '/api/v1/models/support/versions', { label, spec: { engine: { kind: 'llama', file: `${label}.gguf` } } });
  const { body } = await controller.call<{ stable: { id: string } }>('PATCH', '/api/v1/models/support', { stable: 'v1' });
  expect(body.stable).toMatchObject({ label: 'v1' });
  gateway = await aGateway(controller.test.url, { factory: fakeFactory(engines) });
  await until(async () => (await ask()) === 200, 'stable answers');
  for (let one = 0; one < 60; one += 1) expect(await ask()).toBe(200);
});
afterAll(async () => {
  await gateway?.remove();
  await Promise.all((others ?? []).map(async (one) => await one.close()));
  await controller?.close();
});

async function ask(): Promise<number> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hi' }] }),
    signal: AbortSignal.timeout(10_000),
  });
  await response.arrayBuffer();
  return response.status;
}

async function rollout(id: string): Promise<RolloutResource> {
  return (await controller.call<RolloutResource>('GET', `/api/v1/rollouts/${id}`)).body;
}

/** Starts a rollout and serves users until it has ended. */
async function rolledOut(candidate: string): Promise<{ ended: RolloutResource; events: RolloutEventResource[]; statuses: Set<number> }> {
  const { id } = (await controller.call<{ id: string }>('POST', '/api/v1/models/support/rollouts', { candidate })).body;
  const statuses = new Set<number>();
  await until(
    async () => {
      for (const status of await Promise.all([ask(), ask(), ask(), ask()])) statuses.add(status);
      return (await rollout(id)).endedAt !== null;
    },
    `the rollout of ${candidate} to end`,
    45_000,
  );
  const { items } = (await controller.call<{ items: RolloutEventResource[] }>('GET', `/api/v1/rollouts/${id}/events`)).body;
  return { ended: await rollout(id), events: items, statuses };
}

/** Transactions in which the rows about each event of a rollout were written. */
async function transactionsOf(id: string): Promise<{ transition: string; event: string; outbox: string[]; audit: string[] }[]> {
  return await controller.test.database.manager.query(
    `select e.transition, e.xmin::text as event,
       (select array_agg(o.xmin::text) from outbox o where o.subject = 'rollout/' || $1 and o.xmin = e.xmin) as outbox,
       (select array_agg(a.xmin::text) from audit a where a.subject = 'rollout/' || $1 and a.xmin = e.xmin) as audit
     from rollout_events e where e.rollout_id = $1::uuid order by e.seq`,
    [id],
  );
}

describe('three controllers on one rollout', () => {
  it.each<[string, string, string, string[], Partial<Reason>]>([
    [
      'roll a candidate back that is less certain than stable',
      'unsure',
      'rolledBack',
      ['create', 'start', 'rollback'],
      { code: 'check.failed', check: 'entropy', direction: 'up' },
    ],
    ['roll a candidate back that fails, while users get answers', 'failing', 'rolledBack', ['create', 'start', 'rollback'], {}],
    ['promote a candidate that is proven', 'good', 'promoted', ['create', 'start', 'bake', 'promote'], { code: 'proof' }],
  ])('%s', async (_what, candidate, phase, transitions, reason) => {
    const { ended, events, statuses } = await rolledOut(candidate);
    expect(ended.phase).toBe(phase);
    expect(events.map(({ transition }) => transition)).toEqual(transitions);
    expect(events.at(-1)?.reason).toMatchObject(reason);
    expect(statuses).toEqual(new Set([200]));
    // Evidence with every decision, and a routing generation that only grows.
    expect(events.slice(1).every(({ evidence }) => evidence !== null)).toBe(true);
    const generations = events.map(({ generation }) => generation);
    expect(generations).toEqual(generations.toSorted((a, b) => a - b));
    // Everything that belongs to a decision was written by one transaction, once.
    for (const { event, outbox, audit } of await transactionsOf(ended.id)) {
      expect(outbox).toEqual([event]);
      expect(audit).toEqual([event]);
    }
    await untilServing(gateway.url, generations.at(-1) ?? Number.NaN);
    const { body } = await controller.call<{ stable: { label: string } }>('GET', '/api/v1/models/support');
    expect(body.stable.label).toBe(phase === 'promoted' ? candidate : 'v1');
  });

  it('are decided again from stored windows, byte for byte', async () => {
    const { items } = (await controller.call<{ items: RolloutResource[] }>('GET', '/api/v1/rollouts')).body;
    expect(items).toHaveLength(3);
    let looks = 0;
    for (const { id } of items) {
      const { status, body } = await controller.call<ReplayResource>('POST', `/api/v1/rollouts/${id}/replay`, {});
      expect({ status, ...body }).toMatchObject({ status: 200, plan: 'recorded', same: true, leavesAt: null, looks: { different: 0 } });
      expect(body.decisions.every(({ judged, same }) => judged === 'windows' && same)).toBe(true);
      expect(body.decisions.length).toBeGreaterThan(1);
      looks += body.looks.compared;
    }
    // One that ends within a second may have no look between its decisions.
    expect(looks).toBeGreaterThan(0);
  });

  it('would be decided otherwise by another plan, up to where it leaves what happened', async () => {
    const { items } = (await controller.call<{ items: RolloutResource[] }>('GET', '/api/v1/rollouts')).body;
    const unsure = items.find(({ candidate }) => candidate.label === 'unsure');
    const path = `/api/v1/rollouts/${unsure?.id}/replay`;
    const lenient = { checks: { entropy: { up: 19 }, errors: { enabled: true } } };
    const { body } = await controller.call<ReplayResource>('POST', path, { plan: lenient });
    expect(body).toMatchObject({ plan: 'other', same: false });
    const last = body.decisions.at(-1);
    expect(last).toMatchObject({ recorded: { transition: 'rollback' }, same: false });
    expect(last?.replayed.transition).not.toBe('rollback');
    expect(body.leavesAt).toBe(last?.at);
    expect(body.note).toContain('unknown');
    expect(await controller.call('POST', path, { plan: { alpha: 7 } })).toMatchObject({ status: 400 });
    // Evidence that is gone is said to be gone; nothing is decided from half of it.
    await controller.test.database.manager.query(`delete from windows where rollout_id = $1 and arm = 'candidate'`, [unsure?.id]);
    expect(await controller.call('POST', path, {})).toMatchObject({ status: 410, body: { code: 'evidence.expired' } });
  });
});

describe('a decision', () => {
  let id: string;
  const store = new RolloutStore();
  beforeEach(async () => {
    const started = await controller.call<{ id: string }>('POST', '/api/v1/models/support/rollouts', {
      candidate: 'v1',
      plan: { ...plan, reference: { minResponses: 1_000_000, minPerClass: 40 } },
    });
    id = started.body.id;
    return async () => {
      await controller.call('POST', `/api/v1/rollouts/${id}/abort`, { reason: 'the spec is over' });
      await until(async () => (await rollout(id)).endedAt !== null, 'the rollout to end');
    };
  });

  it('by who lost the lease, or read an older row, writes nothing', async () => {
    const record = await store.get(controller.test.database.manager, id);
    if (!record) throw new Error('no rollout');
    const change = {
      next: { phase: 'aborted' as const, at: 1, reason: { code: 'x' } },
      weight: 0,
      epoch: record.epoch,
      nextLookAt: 0,
      ended: true,
    };
    const { manager } = controller.test.database;
    const stale = [
      store.commitDecision(manager, record, { id, leaseEpoch: record.leaseEpoch - 1 }, change),
      store.commitDecision(manager, { ...record, revision: record.revision - 1 }, { id, leaseEpoch: record.leaseEpoch }, change),
    ];
    for (const outcome of await Promise.all(stale)) expect(outcome.ok).toBe(false);
    expect(await rollout(id)).toMatchObject({ phase: 'pending', endedAt: null });
  });

  it('is not taken back by who comes late: an ended rollout takes no command, but for the one that asks for what is so', async () => {
    await controller.call('POST', `/api/v1/rollouts/${id}/rollback`, { reason: 'enough' });
    await until(async () => (await rollout(id)).endedAt !== null, 'the rollback');
    const events = async () => (await controller.call<{ items: unknown[] }>('GET', `/api/v1/rollouts/${id}/events`)).body.items.length;
    const told = await events();
    for (const command of ['pause', 'resume', 'promote'])
      expect(await controller.call('POST', `/api/v1/rollouts/${id}/${command}`, { reason: 'late' })).toMatchObject({
        status: 409,
        body: { code: 'rollout.ended' },
      });
    for (const command of ['rollback', 'abort'])
      expect(await controller.call('POST', `/api/v1/rollouts/${id}/${command}`, { reason: 'late' })).toMatchObject({
        status: 200,
        body: { phase: 'rolledBack' },
      });
    expect(await events()).toBe(told);
  });
});
