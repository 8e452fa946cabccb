// What is decided leaves: each event once in a healthy run, signed, in order, whatever single receivers do.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mostAttempts } from '#libs/alerts';
import { DeliveryStore, OutboxStore } from '#libs/storage';
import { startTestController, type TestController } from '../support/controller.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

interface Delivery {
  id: string;
  state: 'pending' | 'delivered' | 'dead';
  attempts: number;
  event: { id: string; type: string; subject: string };
  endpoint: { id: string; name: string };
  nextAttemptAt: number | null;
  lastStatus: number | null;
  lastError: string | null;
  createdAt: number;
}

let controller: TestController;
const receivers: WebhookReceiver[] = [];
const outbox = new OutboxStore();
const store = new DeliveryStore();

beforeAll(async () => {
  controller = await startTestController({ webhookAllowCidrs: ['127.0.0.0/8'] });
});
afterAll(async () => {
  await controller.close();
});
afterEach(async () => {
  await controller.test.database.manager.query(
    `update deliveries set state = 'dead' where state = 'pending'; update webhook_endpoints set disabled_at = now() where disabled_at is null`,
  );
  await Promise.all(receivers.splice(0).map(async (receiver) => await receiver.stop()));
});

let subject: string;
beforeEach(() => {
  subject = `rollout/${randomUUID()}`;
});

/** A registered receiver. */
async function receiver(eventTypes: string[] = []): Promise<WebhookReceiver & { endpointId: string }> {
  const made = new WebhookReceiver();
  receivers.push(made);
  const reply = await controller.call<{ id: string; secret: string }>('POST', '/api/v1/webhook-endpoints', {
    name: `e-${randomUUID()}`,
    url: await made.start(),
    eventTypes,
  });
  made.secret = reply.body.secret;
  return Object.assign(made, { endpointId: reply.body.id });
}

async function tell(type: string, data: Record<string, unknown> = {}, about = subject): Promise<string> {
  return await controller.test.database.transaction(async (tx) => await outbox.append(tx, { type, subject: about, data }));
}

async function deliveries(endpointId: string): Promise<Delivery[]> {
  const reply = await controller.call<{ items: Delivery[] }>('GET', `/api/v1/deliveries?endpoint=${endpointId}&limit=500`);
  return reply.body.items.toReversed();
}

/** Waits until the endpoint's deliveries look like this, oldest first. */
async function untilDeliveries(endpointId: string, condition: (all: Delivery[]) => boolean): Promise<Delivery[]> {
  for (const giveUpAt = performance.now() + 20_000; ; await delay(30)) {
    const all = await deliveries(endpointId);
    if (condition(all)) return all;
    if (performance.now() > giveUpAt) throw new Error(`deliveries stay at ${JSON.stringify(all)}`);
  }
}

/** Lets waiting retries be due now, so that no test waits for the schedule. */
async function hurry(): Promise<void> {
  await controller.test.database.manager.query(
    `update deliveries set next_attempt_at = now() where state = 'pending' and claimed_until is null`,
  );
}

const settled = (all: Delivery[]) => all.length > 0 && all.every(({ state }) => state !== 'pending');

describe('a decision', () => {
  it('leaves as one signed event each, in the order of what happened', async () => {
    const target = await receiver();
    const model = `m-${randomUUID()}`;
    const file = (label: string) => ({ label, spec: { engine: { kind: 'llama', file: `${label}-${model}.gguf` } } });
    await controller.call('POST', '/api/v1/models', { name: model });
    await controller.call('POST', `/api/v1/models/${model}/versions`, file('v1'));
    await controller.call('PATCH', `/api/v1/models/${model}`, { stable: 'v1' });
    await controller.call('POST', `/api/v1/models/${model}/versions`, file('v2'));
    const rollout = await controller.call<{ id: string }>('POST', `/api/v1/models/${model}/rollouts`, { candidate: 'v2' });
    await controller.call('POST', `/api/v1/rollouts/${rollout.body.id}/rollback`, { reason: 'it looks wrong' });
    const about = () => target.received.filter(({ event }) => event.subject === `rollout/${rollout.body.id}`);
    await target.until(() => about().some(({ event }) => event.type.endsWith('rollout.rolled_back')));
    expect(about().map(({ event }) => event.type)).toEqual(['serin.rollout.created', 'serin.rollout.rolled_back']);
    expect(target.received.every(({ verified }) => verified)).toBe(true);
    const [, rolledBack] = about();
    expect(rolledBack?.headers['content-type']).toContain('application/cloudevents+json');
    expect(rolledBack?.event).toMatchObject({
      specversion: '1.0',
      id: rolledBack?.id,
      data: { rolloutId: rollout.body.id, model, candidate: { label: 'v2' }, stable: { label: 'v1' }, phase: 'rolledBack' },
    });
    expect(String(rolledBack?.event.data['sentence'])).toContain('it looks wrong');
    await untilDeliveries(target.endpointId, settled);
    expect(new Set(target.received.map(({ id }) => id)).size).toBe(target.received.length);
  });

  it('that was not committed is told to nobody', async () => {
    const target = await receiver();
    await controller.test.database
      .transaction(async (tx) => {
        await outbox.append(tx, { type: 'rollout.promoted', subject, data: {} });
        throw new Error('changed my mind');
      })
      .catch(() => undefined);
    await tell('rollout.created');
    await target.until(() => target.received.length > 0);
    expect(target.received.map(({ event }) => event.type)).toEqual(['serin.rollout.created']);
  });

  it('reaches only the endpoints that asked for its type', async () => {
    const all = await receiver();
    const some = await receiver(['rollout.rolled_back']);
    await tell('rollout.created');
    await tell('rollout.rolled_back');
    await all.until(() => all.received.length === 2);
    await some.until(() => some.received.length === 1);
    expect(some.received.map(({ event }) => event.type)).toEqual(['serin.rollout.rolled_back']);
  });
});

describe('a failed delivery', () => {
  it('is tried again with the same id and a fresh valid signature until it is accepted', async () => {
    const target = await receiver();
    target.react = (_webhook, count) => ({ status: count < 2 ? 500 : 200 });
    const id = await tell('rollout.rolled_back');
    for (const failures of [1, 2]) {
      const [failed] = await untilDeliveries(target.endpointId, ([one]) => one?.attempts === failures && one.lastStatus === 500);
      expect(failed).toMatchObject({ state: 'pending', lastError: 'HTTP 500' });
      await hurry();
    }
    const [done] = await untilDeliveries(target.endpointId, settled);
    expect(done).toMatchObject({ state: 'delivered', attempts: 3, lastStatus: 200, lastError: null, nextAttemptAt: null });
    expect(target.received.map((webhook) => [webhook.id, webhook.verified])).toEqual(Array(3).fill([id, true]));
    expect(new Set(target.received.map(({ body }) => body)).size).toBe(1);
  });

  it('comes back by itself about a second later', async () => {
    const target = await receiver();
    target.react = (_webhook, count) => (count === 0 ? { status: 503 } : { status: 200 });
    await tell('rollout.rolled_back');
    await target.until(() => target.received.length === 2);
    expect(await untilDeliveries(target.endpointId, settled)).toMatchObject([{ state: 'delivered', attempts: 2 }]);
  });

  it('waits for as long as the receiver asks', async () => {
    const target = await receiver();
    target.react = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    await tell('rollout.rolled_back');
    const [failed] = await untilDeliveries(target.endpointId, ([one]) => one?.lastStatus === 429);
    expect((failed?.nextAttemptAt ?? 0) - (failed?.createdAt ?? 0)).toBeGreaterThanOrEqual(3_600_000);
  });

  it.each([
    ['a redirect', { status: 301, headers: { location: 'http://127.0.0.1:1/' } }, 301],
    ['a cut connection', 'reset', null],
    ['a client error', { status: 404 }, 404],
  ] as const)('is %s too', async (_what, reaction, status) => {
    const target = await receiver();
    target.react = () => reaction;
    await tell('rollout.rolled_back');
    const [failed] = await untilDeliveries(target.endpointId, ([one]) => one?.lastError !== null && one?.lastError !== undefined);
    expect(failed).toMatchObject({ state: 'pending', attempts: 1, lastStatus: status });
  });

  it('is dead after the last attempt, lets later ones pass, and can be replayed', async () => {
    const target = await receiver();
    target.react = (webhook) => ({ status: webhook.event.type.endsWith('rollout.created') ? 500 : 200 });
    const id = await tell('rollout.created');
    await untilDeliveries(target.endpointId, ([one]) => one?.lastStatus === 500);
    await controller.test.database.manager.query(
      `update deliveries set attempts = $2, next_attempt_at = now() where outbox_id = $1 and state = 'pending'`,
      [id, mostAttempts - 1],
    );
    await tell('rollout.started');
    const all = await untilDeliveries(target.endpointId, settled);
    expect(all).toMatchObject([
      { state: 'dead', attempts: mostAttempts, lastError: 'HTTP 500' },
      { state: 'delivered', attempts: 1 },
    ]);
    target.react = () => ({ status: 200 });
    const replayed = await controller.call<Delivery>('POST', `/api/v1/deliveries/${all[0]?.id}/replay`);
    expect(replayed.status).toBe(202);
    await untilDeliveries(target.endpointId, ([one]) => one?.state === 'delivered');
    expect(target.received.at(-1)).toMatchObject({ id, verified: true });
  });
});

describe('order', () => {
  it('is kept per subject: later events of it wait, those of others pass', async () => {
    const target = await receiver();
    let broken = true;
    target.react = (webhook) => ({ status: broken && webhook.event.type.endsWith('rollout.created') ? 500 : 200 });
    await tell('rollout.created');
    await untilDeliveries(target.endpointId, ([one]) => one?.lastStatus === 500);
    await tell('rollout.started');
    await tell('rollout.promoted');
    await tell('rollout.paused', {}, `rollout/${randomUUID()}`);
    await target.until(() => target.of('rollout.paused').length === 1);
    expect(target.of('rollout.started')).toEqual([]);
    broken = false;
    await hurry();
    await untilDeliveries(target.endpointId, settled);
    const types = target.received.filter(({ event }) => event.subject === subject).map(({ event }) => event.type.slice(14));
    expect(types.slice(types.lastIndexOf('created'))).toEqual(['created', 'started', 'promoted']);
  });

  it('holds for a burst, one request at a time to each endpoint', async () => {
    const targets = await Promise.all([receiver(), receiver(), receiver()]);
    for (const target of targets) target.react = () => ({ status: 200, afterMs: 5 });
    const subjects = [0, 1, 2].map(() => `rollout/${randomUUID()}`);
    for (let n = 0; n < 30; n += 1) await tell('rollout.weight_changed', { n }, subjects[n % 3]);
    for (const target of targets) {
      await untilDeliveries(target.endpointId, (all) => all.length === 30 && settled(all));
      expect(target.mostOpen).toBe(1);
      expect(target.received).toHaveLength(30);
      for (const one of subjects) {
        const numbers = target.received.filter(({ event }) => event.subject === one).map(({ event }) => Number(event.data['n']));
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      }
    }
  });
});

describe('a receiver that', () => {
  it('hangs delays no other receiver', async () => {
    const hanging = await receiver();
    hanging.react = () => 'hang';
    const healthy = await receiver();
    for (let n = 0; n < 20; n += 1) await tell('rollout.weight_changed', { n }, `rollout/${randomUUID()}`);
    await healthy.until(() => healthy.received.length === 20);
    expect(hanging.received).toHaveLength(1);
    await untilDeliveries(healthy.endpointId, settled);
  });

  it('answers 410 gets nothing more, and the others are told', async () => {
    const other = await receiver();
    const gone = await receiver();
    gone.react = () => ({ status: 410 });
    await tell('rollout.created');
    await tell('rollout.started');
    await other.until(() => other.of('endpoint.disabled').length === 1);
    expect(other.of('endpoint.disabled')[0]?.event.subject).toBe(`webhook-endpoint/${gone.endpointId}`);
    expect(await deliveries(gone.endpointId)).toMatchObject([
      { state: 'dead', lastStatus: 410 },
      { state: 'dead', attempts: 0 },
    ]);
    await tell('rollout.promoted');
    await other.until(() => other.of('rollout.promoted').length === 1);
    expect(gone.received).toHaveLength(1);
    const listed = await controller.call<{ items: { id: string; disabledReason: string | null }[] }>('GET', '/api/v1/webhook-endpoints');
    expect(listed.body.items.find(({ id }) => id === gone.endpointId)?.disabledReason).toContain('410');
    const [dead] = await deliveries(gone.endpointId);
    expect((await controller.call('POST', `/api/v1/deliveries/${dead?.id}/replay`)).status).toBe(422);
  });

  it('sends an endless answer is not listened to', async () => {
    const target = await receiver();
    target.react = () => ({ status: 200, body: 'x'.repeat(5_000_000) });
    await tell('rollout.created');
    expect(await untilDeliveries(target.endpointId, settled)).toMatchObject([{ state: 'delivered', lastError: null }]);
  });
});

describe('workers', () => {
  it('on two controllers send each event once', async () => {
    const second = await controller.another();
    const targets = await Promise.all([receiver(), receiver(), receiver(), receiver()]);
    for (const target of targets) target.react = () => ({ status: 200, afterMs: 3 });
    const ids: string[] = [];
    for (let n = 0; n < 40; n += 1) ids.push(await tell('rollout.weight_changed', { n }, `rollout/${n % 5}-${subject}`));
    for (const target of targets) {
      await untilDeliveries(target.endpointId, (all) => all.length === 40 && settled(all));
      expect(target.received.map(({ id }) => id).sort()).toEqual(ids.toSorted());
      expect(target.mostOpen).toBe(1);
    }
    await second.close();
  });

  it('go on where a dead one stopped, once its claim is over', async () => {
    const target = await receiver();
    const { database } = controller.test;
    // Claimed in the very transaction that made it, so that the living worker cannot be quicker.
    const claimed = await database.transaction(async (tx) => {
      await outbox.append(tx, { type: 'rollout.created', subject, data: {} });
      await tx.query(`update webhook_endpoints set disabled_at = now() where id <> $1 and disabled_at is null`, [target.endpointId]);
      return await store.claimDue(tx, { leaseMs: 1_500, limit: 8, exceptEndpoints: [] });
    });
    expect(claimed).toMatchObject([{ attempts: 1, endpointId: target.endpointId }]);
    await tell('rollout.started');
    await untilDeliveries(target.endpointId, (all) => all.length === 2 && settled(all));
    expect(target.received.map(({ event }) => event.type)).toEqual(['serin.rollout.created', 'serin.rollout.started']);
    const [late] = claimed;
    if (!late) throw new Error('nothing was claimed');
    // The dead one wakes up: its claim is worth nothing any more.
    expect(await store.settle(database.manager, late, { kind: 'dead', status: null, error: 'late' })).toBe(false);
    expect(await store.renew(database.manager, late, 10_000)).toBe(false);
    expect(await deliveries(target.endpointId)).toMatchObject([{ state: 'delivered', attempts: 2 }, { state: 'delivered' }]);
  });

  it('record what a receiver accepted though their connections are cut while they try', async () => {
    const target = await receiver();
    target.react = () => ({ status: 200, afterMs: 200 });
    await tell('rollout.rolled_back');
    await target.until(() => target.received.length === 1);
    const { manager } = controller.test.database;
    let cut = 0;
    await controller.test.database.transaction(async (tx) => {
      // Whoever writes now waits, and is cut off while it does.
      await tx.query('lock table deliveries in exclusive mode');
      for (const giveUpAt = performance.now() + 15_000; cut < 3; await delay(20)) {
        if (performance.now() > giveUpAt) throw new Error(`the outcome was tried to be recorded ${cut} times only`);
        const killed = await manager.query<unknown[]>(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' and query like 'update deliveries set state%'`,
        );
        cut += killed.length;
      }
    });
    expect(await untilDeliveries(target.endpointId, settled)).toMatchObject([{ state: 'delivered', attempts: 1 }]);
    expect(target.received).toHaveLength(1);
  });

  it('finish what they are sending before they close', async () => {
    const own = await startTestController({ webhookAllowCidrs: ['127.0.0.0/8'] });
    const target = new WebhookReceiver();
    receivers.push(target);
    target.react = () => ({ status: 200, afterMs: 400 });
    const made = await own.call<{ secret: string }>('POST', '/api/v1/webhook-endpoints', { name: 'slow', url: await target.start() });
    target.secret = made.body.secret;
    const { database } = own.test;
    await database.transaction(async (tx) => await outbox.append(tx, { type: 'rollout.created', subject, data: {} }));
    await target.until(() => target.received.length === 1);
    const states: unknown[] = [];
    const drop = own.test.drop;
    own.test.drop = async () => {
      states.push(...(await database.manager.query<unknown[]>('select state, attempts from deliveries')));
      await drop();
    };
    await own.close();
    expect(states).toEqual([{ state: 'delivered', attempts: 1 }]);
  });

  it('never make a decision wait: events for an endpoint are written while its row is claimed', async () => {
    const target = await receiver();
    await controller.test.database.transaction(async (tx) => {
      await tx.query('select id from webhook_endpoints where id = $1 for no key update', [target.endpointId]);
      await tell('rollout.created');
    });
    await target.until(() => target.received.length === 1);
  });
});

it('what is settled is forgotten after its time, what is pending is not', async () => {
  const target = await receiver();
  target.react = (webhook) => ({ status: webhook.event.type.endsWith('rollout.created') ? 200 : 500 });
  const kept = await tell('rollout.started');
  await untilDeliveries(target.endpointId, ([one]) => one?.lastStatus === 500);
  const gone = await tell('rollout.created', {}, `rollout/${randomUUID()}`);
  await untilDeliveries(target.endpointId, (all) => all.at(-1)?.state === 'delivered');
  const { manager } = controller.test.database;
  await manager.query(`update deliveries set created_at = now() - interval '31 days'`);
  await manager.query(`update outbox set created_at = now() - interval '31 days'`);
  await store.prune(manager, 30 * 86_400_000);
  const left = await manager.query<{ id: string }[]>('select id from outbox where id = any($1)', [[kept, gone]]);
  expect(left).toEqual([{ id: kept }]);
  expect(await deliveries(target.endpointId)).toMatchObject([{ state: 'pending', event: { id: kept } }]);
});

describe('the list of deliveries', () => {
  it('filters by state and endpoint, and pages from the newest', async () => {
    const target = await receiver();
    for (let n = 0; n < 5; n += 1) await tell('rollout.weight_changed', { n });
    await untilDeliveries(target.endpointId, (all) => all.length === 5 && settled(all));
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await controller.call<{ items: Delivery[]; nextCursor: string | null }>(
        'GET',
        `/api/v1/deliveries?state=delivered&endpoint=${target.endpointId}&limit=2${cursor}`,
      );
      seen.push(...page.body.items.map(({ event }) => event.id));
      cursor = page.body.nextCursor ? `&cursor=${page.body.nextCursor}` : '';
    } while (cursor !== '');
    expect(seen).toEqual(target.received.map(({ id }) => id).toReversed());
    const dead = await controller.call<{ items: Delivery[] }>('GET', `/api/v1/deliveries?state=dead&endpoint=${target.endpointId}`);
    expect(dead.body.items).toEqual([]);
  });

  it.each(['state=lost', 'endpoint=x', 'limit=0', 'limit=501', 'cursor=x', 'colour=red'])('refuses ?%s', async (query) => {
    expect((await controller.call('GET', `/api/v1/deliveries?${query}`)).status).toBe(400);
  });

  it.each(['999999999', 'nonsense', '-1'])('has no delivery %s to replay', async (id) => {
    expect((await controller.call('POST', `/api/v1/deliveries/${id}/replay`)).status).toBe(404);
  });
});
