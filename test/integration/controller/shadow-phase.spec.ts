// The shadow phase end to end: what gateways stored of mirrored prompts decides whether a user ever meets the candidate, and what it is held to then.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addTo, bucketOf, emptyPairedCounts, type PairedWindow } from '#libs/analysis';
import type { RolloutEventResource, RolloutResource } from '#libs/contract';
import { FakeEngine } from '#libs/engine';
import { PairedWindowStore, RolloutStore } from '#libs/storage';
import { startTestController, type TestController } from '../../support/controller.js';
import { aGateway, aKey, fakeFactory, type TestGateway, until } from '../../support/gateway.js';

const plan = {
  steps: [{ weightPct: 1, minS: 600 }],
  checks: { latency: { enabled: false } },
  reference: { minResponses: 40, minPerClass: 40 },
  // What is judged here is put into the database below.
  shadow: { share: 0.000_001 },
};

let controller: TestController;
let gateway: TestGateway;
beforeAll(async () => {
  controller = await startTestController();
  const key = await aKey(controller.test);
  await controller.call('POST', '/api/v1/models', { name: 'support', defaultPlan: plan });
  for (const label of ['v1', 'v2'])
    await controller.call('POST', '/api/v1/models/support/versions', { label, spec: { engine: { kind: 'llama', file: `${label}.gguf` } } });
  await controller.call('PATCH', '/api/v1/models/support', { stable: 'v1' });
  const engines = { v1: new FakeEngine({ entropyNats: 0.5 }), v2: new FakeEngine({ entropyNats: 0.5 }) };
  gateway = await aGateway(controller.test.url, { factory: fakeFactory(engines) });
  const ask = async (): Promise<number> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hi' }] }),
      signal: AbortSignal.timeout(10_000),
    });
    await response.arrayBuffer();
    return response.status;
  };
  await until(async () => (await ask()) === 200, 'stable answers');
  for (let one = 0; one < 60; one += 1) expect(await ask()).toBe(200);
});
afterAll(async () => {
  await gateway?.remove();
  await controller?.close();
});

const read = async (id: string) => (await controller.call<RolloutResource>('GET', `/api/v1/rollouts/${id}`)).body;

/** A rollout that has come to its shadow phase. */
async function shadowing(): Promise<string> {
  const { id } = (await controller.call<RolloutResource>('POST', '/api/v1/models/support/rollouts', { candidate: 'v2' })).body;
  await until(async () => (await read(id)).phase === 'shadowing', 'the shadow phase');
  expect(await read(id)).toMatchObject({ weightPct: 0, sentence: expect.stringContaining('0 pairs of 150 judged') });
  return id;
}

/** Mirrored prompts as gateways store them: the candidate's entropy and length are `ratio` times stable's, a little more and less in turn. */
async function mirrored(id: string, pairs: number, ratio: number, loops = 0): Promise<void> {
  const counts = emptyPairedCounts();
  counts.pairs = pairs;
  counts.loopsCandidate = loops;
  for (let pair = 0; pair < pairs; pair += 1)
    for (const metric of ['entropy', 'length'] as const) addTo(counts.ratios[metric], bucketOf(ratio * (pair % 2 === 0 ? 1.05 : 0.95)));
  const window: PairedWindow = { rolloutId: id, promptClass: 'chat', secondAt: Math.floor(Date.now() / 1000) * 1000, counts };
  await new PairedWindowStore().insert(controller.test.database.manager, randomUUID(), 1, [window]);
}

const newest = async (id: string) =>
  (await controller.call<{ items: RolloutEventResource[] }>('GET', `/api/v1/rollouts/${id}/events`)).body.items.at(-1);

it('pairs that pass begin the first step, held to what they measured', async () => {
  const id = await shadowing();
  await mirrored(id, 100, 0.8);
  await until(async () => (await read(id)).sentence.includes('0%'), 'a look');
  expect((await read(id)).phase).toBe('shadowing');
  await mirrored(id, 100, 0.8);
  await until(async () => (await read(id)).phase === 'progressing', 'the first step');
  expect((await newest(id))?.evidence).toMatchObject({
    shadow: { verdict: 'pass', pairs: 200 },
    expected: [{ metric: 'entropy', source: 'shadow' }, { metric: 'length' }],
  });
  const record = await new RolloutStore().get(controller.test.database.manager, id);
  const band = Object.values(record?.scores?.bands?.entropy ?? {})[0];
  expect(band).toMatchObject({ source: 'shadow' });
  expect(band?.lower).toBeGreaterThan(0.77);
  expect(band?.upper).toBeLessThan(0.83);
  await controller.call('POST', `/api/v1/rollouts/${id}/rollback`, { reason: 'enough' });
  await until(async () => (await read(id)).endedAt !== null, 'the rollback');
});

it('a candidate that loops is taken back before any user met it', async () => {
  const id = await shadowing();
  await mirrored(id, 60, 1, 40);
  await until(async () => (await read(id)).phase === 'rolledBack', 'the rollback');
  expect(await newest(id)).toMatchObject({ reason: { code: 'shadow.failed', check: 'shape' } });
  expect((await read(id)).sentence).toContain('0 candidate responses served');
});

it('a shift that may lie beyond what is expected waits for a person, whose leave begins the first step', async () => {
  const id = await shadowing();
  await mirrored(id, 200, 0.5);
  await until(async () => (await read(id)).phase === 'paused', 'the pause');
  expect((await newest(id))?.reason.code).toBe('shadow.inconclusive');
  const leave = await controller.call<RolloutResource>('POST', `/api/v1/rollouts/${id}/resume`, { reason: 'trained to be brief' });
  expect(leave.body).toMatchObject({ phase: 'progressing', weightPct: 1 });
  const record = await new RolloutStore().get(controller.test.database.manager, id);
  expect(Object.keys(record?.scores?.bands ?? {}).sort()).toEqual(['entropy', 'length']);
});
