// Endpoints: registered once, secrets shown once and sealed at rest, addresses judged when they are given and each time they are used.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyStore, SecretBox } from '#libs/storage';
import { startTestController, type TestController, testSecretKey } from '../support/controller.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

interface Problem {
  code: string;
  detail: string;
  remedy?: string;
  errors?: { pointer: string; detail: string }[];
}
interface Endpoint extends Problem {
  id: string;
  name: string;
  url: string;
  eventTypes: string[];
  secret: string;
  disabledAt: number | null;
}
interface Delivery extends Problem {
  id: string;
  state: string;
  attempts: number;
  event: { id: string; type: string };
  lastStatus: number | null;
  lastError: string | null;
}

let controller: TestController;
beforeAll(async () => {
  controller = await startTestController({ webhookAllowCidrs: ['127.0.0.2', '127.0.0.3'] });
});
afterAll(async () => {
  await controller.close();
});

const create = async (body: object, headers: Record<string, string> = {}) =>
  await controller.call<Endpoint>('POST', '/api/v1/webhook-endpoints', body, headers);
const name = () => `e-${randomUUID()}`;
const url = 'http://127.0.0.2:9/hooks';

describe('creating an endpoint', () => {
  it('answers its secret once and never again', async () => {
    const made = await create({ name: name(), url, eventTypes: ['rollout.rolled_back'] });
    expect(made.status).toBe(201);
    expect(made.body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const listed = await controller.call<{ items: Endpoint[] }>('GET', '/api/v1/webhook-endpoints');
    expect(listed.body.items.find(({ id }) => id === made.body.id)).toMatchObject({
      url,
      eventTypes: ['rollout.rolled_back'],
      disabledAt: null,
    });
    expect(listed.text).not.toContain('whsec_');
  });

  it('answers a repeat with the same key as the first time, without keeping the secret in clear', async () => {
    const body = { name: name(), url };
    const key = { 'idempotency-key': randomUUID() };
    const first = await create(body, key);
    const second = await create(body, key);
    expect([second.status, second.body]).toEqual([first.status, first.body]);
    const dump = await controller.test.database.manager.query<{ text: string }[]>(
      `select (select string_agg(i::text, ' ') from idempotency_keys i) || (select string_agg(a::text, ' ') from audit a) || (select string_agg(encode(secret, 'escape'), ' ') from webhook_endpoints) as text`,
    );
    expect(dump[0]?.text.length).toBeGreaterThan(100);
    expect(dump[0]?.text).not.toContain(first.body.secret.slice(6));
    expect(dump[0]?.text).not.toContain('whsec_');
  });

  it('makes one endpoint of ten repeats at once', async () => {
    const body = { name: name(), url };
    const key = { 'idempotency-key': randomUUID() };
    const replies = await Promise.all(Array.from({ length: 10 }, async () => await create(body, key)));
    expect(new Set(replies.map((reply) => `${reply.status} ${reply.body.id} ${reply.body.secret}`)).size).toBe(1);
  });

  it('refuses a name that is taken, and gives it back after a delete', async () => {
    const body = { name: name(), url };
    const first = await create(body);
    const taken = await create(body);
    expect([taken.status, taken.body.code]).toEqual([409, 'webhook-endpoint.name-taken']);
    expect((await controller.call('DELETE', `/api/v1/webhook-endpoints/${first.body.id}`)).status).toBe(204);
    const again = await create(body);
    expect(again.status).toBe(201);
    expect(again.body.secret).not.toBe(first.body.secret);
    expect(again.body.disabledAt).toBeNull();
  });

  it.each([
    'http://127.0.0.1:8080/',
    'http://127.0.0.1/',
    'http://[::1]:8080/',
    'http://[::ffff:127.0.0.1]:8080/',
    'http://169.254.169.254/latest/meta-data/',
    'http://10.1.2.3/',
    'http://192.168.1.1/',
    'http://172.20.0.1/',
    'http://100.64.1.1/',
    'http://localhost:8080/',
    'http://localhost.:8080/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://0.0.0.0/',
    'http://[64:ff9b::7f00:1]/',
    'http://[fd00::1]/',
    'http://[fe80::1]/',
  ])('refuses %s', async (target) => {
    const reply = await create({ name: name(), url: target });
    expect([reply.status, reply.body.code]).toEqual([422, 'url.not-public']);
    expect(reply.body.errors).toMatchObject([{ pointer: '/url' }]);
    expect(reply.body.remedy).toContain('SERIN_WEBHOOK_ALLOW_CIDRS');
  });

  it.each<[string, object, number, string]>([
    ['a name that does not resolve', { url: 'https://no-such-host.invalid/' }, 422, '/url'],
    ['a user name', { url: 'http://user:password@127.0.0.2/' }, 422, '/url'],
    ['another protocol', { url: 'ftp://127.0.0.2/' }, 400, '/url'],
    ['no URL at all', { url: 'somewhere' }, 400, '/url'],
    ['a URL without end', { url: `http://127.0.0.2/${'x'.repeat(3_000)}` }, 400, '/url'],
    ['an event type that does not exist', { eventTypes: ['rollout.rolledback'] }, 400, '/eventTypes/0'],
    ['an unknown field', { colour: 'red' }, 400, '/colour'],
    ['an empty name', { name: '' }, 400, '/name'],
  ])('refuses %s and names the field', async (_what, change, status, pointer) => {
    const reply = await create({ name: name(), url, ...change });
    expect(reply.status).toBe(status);
    expect(reply.body.errors?.map((error) => error.pointer)).toEqual([pointer]);
    expect(reply.text).not.toContain('password@');
  });

  it('asks for the scope settings:write', async () => {
    const { key } = await new ApiKeyStore().create(controller.test.database.manager, {
      name: 'reader',
      scopes: ['rollouts:read', 'models:write'],
    });
    const authorization = `Bearer ${key}`;
    for (const [method, path] of [
      ['GET', '/api/v1/webhook-endpoints'],
      ['POST', '/api/v1/webhook-endpoints'],
      ['DELETE', `/api/v1/webhook-endpoints/${randomUUID()}`],
      ['POST', `/api/v1/webhook-endpoints/${randomUUID()}/test`],
      ['GET', '/api/v1/deliveries'],
      ['POST', '/api/v1/deliveries/1/replay'],
      ['PUT', '/api/v1/hook-sources/generic'],
      ['GET', '/api/v1/hook-sources'],
    ] as const) {
      expect((await controller.call(method, path, method === 'GET' ? undefined : {}, { authorization })).status).toBe(403);
    }
  });
});

describe('a test event', () => {
  it('arrives signed, whatever the endpoint subscribed to, and its outcome is answered', async () => {
    const receiver = new WebhookReceiver();
    const made = await create({ name: name(), url: await receiver.start('127.0.0.2'), eventTypes: ['rollout.promoted'] });
    receiver.secret = made.body.secret;
    const tested = await controller.call<Delivery>('POST', `/api/v1/webhook-endpoints/${made.body.id}/test`);
    expect(tested.status).toBe(200);
    expect(tested.body).toMatchObject({ state: 'delivered', attempts: 1, lastStatus: 204, event: { type: 'endpoint.test' } });
    expect(receiver.received).toHaveLength(1);
    expect(receiver.received[0]).toMatchObject({ verified: true, id: tested.body.event.id, event: { type: 'serin.endpoint.test' } });
    await receiver.stop();
  });

  it('is tried once: its failure is the answer, without the words of the receiver', async () => {
    const receiver = new WebhookReceiver();
    receiver.react = () => ({ status: 500, body: 'internal secret' });
    const made = await create({ name: name(), url: await receiver.start('127.0.0.2') });
    const tested = await controller.call<Delivery>('POST', `/api/v1/webhook-endpoints/${made.body.id}/test`);
    expect(tested.body).toMatchObject({ state: 'dead', attempts: 1, lastStatus: 500, lastError: 'HTTP 500' });
    expect(tested.text).not.toContain('internal secret');
    await receiver.stop();
  });

  it('is not led to another address by a redirect', async () => {
    const inside = new WebhookReceiver();
    const insideUrl = await inside.start('127.0.0.1');
    const receiver = new WebhookReceiver();
    receiver.react = () => ({ status: 302, headers: { location: insideUrl } });
    const made = await create({ name: name(), url: await receiver.start('127.0.0.2') });
    const tested = await controller.call<Delivery>('POST', `/api/v1/webhook-endpoints/${made.body.id}/test`);
    expect(tested.body).toMatchObject({ state: 'dead', lastStatus: 302 });
    expect(tested.body.lastError).toContain('redirect');
    expect(inside.received).toEqual([]);
    await receiver.stop();
    await inside.stop();
  });

  it('is not sent to an address that is no longer allowed', async () => {
    const receiver = new WebhookReceiver();
    const inside = await receiver.start('127.0.0.1');
    const made = await create({ name: name(), url });
    await controller.test.database.manager.query('update webhook_endpoints set url = $2 where id = $1', [made.body.id, inside]);
    const tested = await controller.call<Delivery>('POST', `/api/v1/webhook-endpoints/${made.body.id}/test`);
    expect(tested.body).toMatchObject({ state: 'dead', lastStatus: null });
    expect(tested.body.lastError).toContain('url.not-public');
    expect(receiver.received).toEqual([]);
    await receiver.stop();
  });

  it('is refused for an endpoint that is disabled or not there', async () => {
    const made = await create({ name: name(), url });
    await controller.call('DELETE', `/api/v1/webhook-endpoints/${made.body.id}`);
    const disabled = await controller.call<Problem>('POST', `/api/v1/webhook-endpoints/${made.body.id}/test`);
    expect([disabled.status, disabled.body.code]).toEqual([422, 'webhook-endpoint.disabled']);
    for (const id of [randomUUID(), 'nonsense']) {
      expect((await controller.call('POST', `/api/v1/webhook-endpoints/${id}/test`)).status).toBe(404);
    }
  });
});

describe('a sealed secret', () => {
  const box = new SecretBox(testSecretKey);
  it('opens with its key at its place only', () => {
    const sealed = box.seal('whsec_x', 'webhook_endpoints/1');
    expect(box.open(sealed, 'webhook_endpoints/1')).toBe('whsec_x');
    expect(() => box.open(sealed, 'webhook_endpoints/2')).toThrow(/secret.unreadable/);
    expect(() => new SecretBox('00'.repeat(32)).open(sealed, 'webhook_endpoints/1')).toThrow(/secret.unreadable/);
  });

  it('opens no more once any byte was touched or cut off', () => {
    const sealed = box.seal('whsec_x', 'p');
    for (let i = 0; i < sealed.length; i += 1) {
      const touched = Buffer.from(sealed);
      touched.writeUInt8((sealed[i] ?? 0) ^ 1, i);
      expect(() => box.open(touched, 'p')).toThrow(/secret.unreadable/);
      expect(() => box.open(sealed.subarray(0, i), 'p')).toThrow(/secret.unreadable/);
    }
  });

  it('looks different each time', () => {
    expect(box.seal('whsec_x', 'p').equals(box.seal('whsec_x', 'p'))).toBe(false);
  });
});
