// Shadows behind several upstreams: what becomes of them decides neither who is given users' requests nor how often those are tried again.
import { afterEach, describe, expect, it } from 'vitest';
import { EngineError, type GenerateRequest, HttpEngine, type Priority } from '#libs/engine';
import { FakeUpstream } from '../support/upstream.js';

const never = new AbortController().signal;
let upstreams: FakeUpstream[] = [];
let engine: HttpEngine;

async function aFleet(): Promise<void> {
  upstreams = [new FakeUpstream('vllm'), new FakeUpstream('vllm')];
  const [baseUrl = '', ...endpoints] = await Promise.all(upstreams.map(async (one) => await one.start()));
  engine = new HttpEngine({ baseUrl, endpoints, model: 'fake-model', maxConcurrent: 4 });
  await engine.load(never);
}
afterEach(async () => {
  await engine.unload(0);
  await Promise.all(upstreams.map(async (one) => await one.stop()));
});

/** The code of its fault; null: the answer was whole. */
async function ask(priority: Priority, signal = never): Promise<string | null> {
  const request: GenerateRequest = {
    id: 'spec',
    prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
    sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 16, stop: [] },
    ticket: { tenant: 'spec', priority, deadlineMs: 5_000 },
  };
  try {
    for await (const event of engine.generate(request, signal)) if (event.type === 'end') return null;
  } catch (error) {
    if (error instanceof EngineError) return error.fault.code;
    throw error;
  }
  throw new Error('the answer has no end');
}

const states = () => engine.stats().endpoints?.map(({ state }) => state);
const generations = (): number => upstreams.flatMap(({ requests }) => requests.filter(({ method }) => method === 'POST')).length;

describe('shadows', () => {
  it.each([500, 429])('that all get a %i leave every endpoint as it is, and are tried once', async (status) => {
    await aFleet();
    const before = generations();
    for (const one of upstreams) one.fault = { kind: 'status', status };
    for (let n = 0; n < 30; n += 1) expect(await ask('shadow')).not.toBeNull();
    expect(generations() - before).toBe(30);
    expect(states()).toEqual(['up', 'up']);
    for (const one of upstreams) one.fault = null;
    expect(engine.stats().endpoints?.map(({ limit }) => limit)).toEqual([4, 4]);
    expect(await ask('live')).toBeNull();
  });

  it('do not spend the second tries of users', async () => {
    await aFleet();
    for (const one of upstreams) one.fault = { kind: 'cut', after: 'request' };
    for (let n = 0; n < 100; n += 1) await ask('shadow');
    for (const one of upstreams) one.fault = null;
    const [bad] = upstreams;
    if (bad) bad.fault = { kind: 'status', status: 500 };
    for (let n = 0; n < 20; n += 1) expect(await ask('live')).toBeNull();
  });

  it('are told apart from users among what waits', async () => {
    await aFleet();
    for (const one of upstreams) one.tokenMs = 200;
    const leave = new AbortController();
    const asked = Array.from({ length: 8 }, async () => await ask('shadow', leave.signal));
    // A quarter of the places is kept free of them.
    expect([engine.stats().queued, engine.stats().queuedLive]).toEqual([2, 0]);
    for (let n = 0; n < 4; n += 1) asked.push(ask('live', leave.signal));
    expect([engine.stats().queued, engine.stats().queuedLive]).toEqual([4, 2]);
    leave.abort();
    await Promise.all(asked);
  });
});
