// What a person starts and commands, through the API on a real database: repeats, limits, what earlier tries have spent, and when a command is done.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem, RolloutEventResource, RolloutResource } from '#libs/contract';
import { GatewayStore, RoutingStore } from '#libs/storage';
import { startTestController, type TestController } from '../../support/controller.js';
import { until } from '../../support/gateway.js';

let controller: TestController;
beforeAll(async () => {
  controller = await startTestController({ maxRollouts: 2 });
});
afterAll(async () => await controller?.close());

/** A model with a stable v1 and candidates v2 and fresh. */
async function aModel(): Promise<string> {
  const name = `m-${randomUUID()}`;
  await controller.call('POST', '/api/v1/models', { name });
  for (const label of ['v1', 'v2', 'fresh'])
    await controller.call('POST', `/api/v1/models/${name}/versions`, {
      label,
      spec: { engine: { kind: 'llama', file: `${name}-${label}.gguf` } },
    });
  await controller.call('PATCH', `/api/v1/models/${name}`, { stable: 'v1' });
  return name;
}

const start = async <T = RolloutResource>(model: string, plan?: object) =>
  await controller.call<T>('POST', `/api/v1/models/${model}/rollouts`, { candidate: 'v2', ...(plan ? { plan } : {}) });
const order = async (id: string, kind: string, key: string = randomUUID()) =>
  await controller.call<RolloutResource>('POST', `/api/v1/rollouts/${id}/${kind}`, { reason: 'because' }, { 'idempotency-key': key });
const read = async (id: string) => (await controller.call<RolloutResource>('GET', `/api/v1/rollouts/${id}`)).body;
const events = async (id: string) =>
  (await controller.call<{ items: RolloutEventResource[] }>('GET', `/api/v1/rollouts/${id}/events`)).body.items;
const ended = async (id: string) => {
  await order(id, 'rollback');
  await until(async () => (await read(id)).endedAt !== null, 'the rollback');
};

describe('P6: a command', () => {
  it('that is repeated under its Idempotency-Key changes nothing, whatever has happened since', async () => {
    const { id } = (await start(await aModel())).body;
    const key = randomUUID();
    const first = await order(id, 'pause', key);
    expect(first).toMatchObject({
      status: 200,
      body: { phase: 'paused', settled: true, delivery: 'no gateway reports', observedGeneration: null },
    });
    await order(id, 'resume');
    const told = await events(id);
    expect((await order(id, 'pause', key)).body.phase).toBe('pending');
    expect(await events(id)).toEqual(told);
    await ended(id);
  });

  it('that asks for what is so already is answered as done, without an event', async () => {
    const { id } = (await start(await aModel())).body;
    await order(id, 'pause');
    const told = await events(id);
    const { revision } = await read(id);
    expect(await order(id, 'pause')).toMatchObject({ status: 200, body: { phase: 'paused', revision } });
    expect(await events(id)).toEqual(told);
    await ended(id);
    expect(await order(id, 'rollback')).toMatchObject({ status: 200, body: { phase: 'rolledBack' } });
    expect(await order(id, 'resume')).toMatchObject({ status: 409, body: { code: 'rollout.ended' } });
  });

  it('is not done before every live gateway serves by it, and says which one is missing', async () => {
    const { manager } = controller.test.database;
    const table = await new RoutingStore().read(manager);
    const report = async (generation: number) =>
      await new GatewayStore().report(manager, {
        id: 'gateway-b',
        bootId: randomUUID(),
        incarnation: table?.incarnation ?? null,
        generation,
        engines: {},
        droppedWindows: 0,
        address: null,
      });
    const { id } = (await start(await aModel())).body;
    await report(1);
    const beats = setInterval(() => void report(1), 500);
    const answer = await order(id, 'rollback');
    clearInterval(beats);
    expect(answer).toMatchObject({
      status: 202,
      body: { phase: 'rolledBack', settled: false, observedGeneration: 1, delivery: 'applied on 0 of 1, missing: gateway-b' },
    });
    await report(answer.body.generation);
    expect(await read(id)).toMatchObject({ settled: true, observedGeneration: answer.body.generation, delivery: 'applied on 1 of 1' });
    await manager.query(`delete from gateways where id = 'gateway-b'`);
  });
});

describe('a rollout', () => {
  it('above the limit of the installation is refused, and leaves nothing behind', async () => {
    const [first, second] = [(await start(await aModel())).body.id, (await start(await aModel())).body.id];
    const third = await aModel();
    expect(await start<Problem>(third)).toMatchObject({
      status: 409,
      body: { code: 'rollout.limit-reached', remedy: expect.stringContaining('SERIN_MAX_ROLLOUTS') },
    });
    expect((await controller.call('GET', `/api/v1/rollouts?model=${third}`)).body).toMatchObject({ items: [] });
    await ended(first);
    const { status, body } = await start(third);
    expect(status).toBe(201);
    for (const id of [second, body.id]) await ended(id);
  });

  it('of a candidate that was tried before says what the tries have spent', async () => {
    const model = await aModel();
    const { id } = (await start(model, { alpha: 0.02 })).body;
    await ended(id);
    // As if its candidate had taken traffic.
    await controller.test.database.manager.query('update rollouts set epoch = 1 where id = $1', [id]);
    const untried = (await start(model)).body;
    expect(untried.earlier).toEqual({ rollouts: 1, exposed: 1, spentAlpha: 0.02 });
    expect((await events(untried.id))[0]?.sentence).toContain(
      'tried once before; 1 of these met users and spent 2% of chance for a false rollback',
    );
    await ended(untried.id);
    const third = (await start(model)).body;
    expect(third.earlier).toEqual({ rollouts: 2, exposed: 1, spentAlpha: 0.02 });
    await ended(third.id);
  });

  it('may wait for its time, and take its control arm from a version of its own', async () => {
    const model = await aModel();
    for (const [version, status, code] of [
      ['nobody', 404, 'version.not-found'],
      ['v2', 422, 'plan.control-not-apart'],
      ['v1', 422, 'plan.control-not-apart'],
    ] as const)
      expect(await start<Problem>(model, { control: { version } })).toMatchObject({
        status,
        body: { code, errors: [{ pointer: '/plan/control/version' }] },
      });
    const { id } = (await start(model, { control: { version: 'fresh' }, startAt: '2100-01-01T08:00:00Z' })).body;
    expect(await read(id)).toMatchObject({ phase: 'pending', plan: { startAt: 4_102_473_600_000, control: { version: 'fresh' } } });
    expect((await read(id)).sentence).toContain('scheduled to start at 2100-01-01 08:00 UTC');
    await ended(id);
  });
});
