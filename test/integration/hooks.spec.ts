// Deployment webhooks: signed by the public `standardwebhooks` package, judged over the raw bytes, carried out once or not at all.
import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Reply, startTestController, type TestController } from '../support/controller.js';

interface Problem {
  code: string;
  detail: string;
  remedy?: string;
  errors?: { pointer: string; detail: string }[];
}
interface Answer extends Problem {
  rollout: { id: string } | null;
  version: { id: string; label: string; created: boolean };
  firstStable: boolean;
}

let controller: TestController;
let secret: string;
beforeAll(async () => {
  controller = await startTestController();
  secret = (await controller.call<{ secret: string }>('PUT', '/api/v1/hook-sources/generic', {})).body.secret;
});
afterAll(async () => {
  await controller.close();
});

let model: string;
const version = (label: string) => ({ label, spec: { engine: { kind: 'llama', file: `${label}-${model}.gguf` } } });
const deployed = (label: string, more: object = {}) => ({ type: 'version.deployed', model, version: version(label), ...more });

/** A model with v1 in service, so that the next version is rolled out. */
beforeEach(async () => {
  model = `m-${randomUUID()}`;
  await controller.call('POST', '/api/v1/models', { name: model });
  await controller.call('POST', `/api/v1/models/${model}/versions`, version('v1'));
  await controller.call('PATCH', `/api/v1/models/${model}`, { stable: 'v1' });
});

interface Sending {
  id?: string;
  at?: Date;
  secret?: string;
  headers?: Record<string, string | undefined>;
  path?: string;
}

async function send(body: unknown, sending: Sending = {}): Promise<Reply<Answer>> {
  const { id = `msg_${randomUUID()}`, at = new Date(), path = '/hooks/generic' } = sending;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(sending.secret ?? secret).sign(id, at, text),
    authorization: '',
    ...sending.headers,
  };
  const present = Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined));
  return await controller.call('POST', path, text, present);
}

async function counts(): Promise<{ versions: number; rollouts: number; receipts: number; outbox: number }> {
  const [row] = await controller.test.database.manager.query<{ versions: number; rollouts: number; receipts: number; outbox: number }[]>(
    `select (select count(*)::int from versions) as versions, (select count(*)::int from rollouts) as rollouts,
       (select count(*)::int from hook_receipts) as receipts, (select count(*)::int from outbox where type in ('model.version_registered', 'model.stable_set', 'rollout.created')) as outbox`,
  );
  if (!row) throw new Error('no counts');
  return row;
}

/** Sends it and asserts that nothing at all was written. */
async function refused(body: unknown, sending: Sending = {}): Promise<Reply<Answer>> {
  const before = await counts();
  const reply = await send(body, sending);
  expect(await counts()).toEqual(before);
  expect(reply.headers.get('content-type')).toContain('application/problem+json');
  return reply;
}

describe('a signed hook', () => {
  it('registers the version and starts its rollout', async () => {
    const reply = await send(deployed('v2'));
    expect(reply.status).toBe(202);
    expect(reply.body).toMatchObject({ version: { label: 'v2', created: true }, firstStable: false });
    const rollout = await controller.call('GET', `/api/v1/rollouts/${reply.body.rollout?.id}`);
    expect(rollout.body).toMatchObject({ model, candidate: { label: 'v2' }, stable: { label: 'v1' }, createdBy: 'hook:generic' });
  });

  it('only registers the version when start is false', async () => {
    const reply = await send(deployed('v2', { start: false }));
    expect(reply.status).toBe(202);
    expect(reply.body.rollout).toBeNull();
    const listed = await controller.call<{ items: { model: string }[] }>('GET', '/api/v1/rollouts');
    expect(listed.body.items.filter((rollout) => rollout.model === model)).toEqual([]);
  });

  it('puts the first version of a model in service at once', async () => {
    model = `m-${randomUUID()}`;
    await controller.call('POST', '/api/v1/models', { name: model });
    const reply = await send(deployed('v1'));
    expect(reply.body).toMatchObject({ firstStable: true, rollout: null });
    expect((await controller.call(`GET`, `/api/v1/models/${model}`)).body).toMatchObject({ stable: { label: 'v1' } });
  });

  it('is accepted when one of several signatures is good', async () => {
    const id = `msg_${randomUUID()}`;
    const at = new Date();
    const text = JSON.stringify(deployed('v2'));
    const good = new Webhook(secret).sign(id, at, text);
    const foreign = new Webhook(`whsec_${Buffer.alloc(32, 7).toString('base64')}`).sign(id, at, text);
    const reply = await send(text, { id, at, headers: { 'webhook-signature': `v1a,AAAA ${foreign} ${good}` } });
    expect(reply.status).toBe(202);
  });

  it('is accepted with any JSON content type', async () => {
    const reply = await send(deployed('v2'), { headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' } });
    expect(reply.status).toBe(202);
  });
});

describe('a repeated hook', () => {
  it('gets the first answer and does nothing', async () => {
    const id = `msg_${randomUUID()}`;
    const first = await send(deployed('v2'), { id });
    const before = await counts();
    const again = await send(deployed('v2'), { id, at: new Date(Date.now() + 2_000) });
    expect(again.status).toBe(200);
    expect(again.body).toEqual(first.body);
    expect(await counts()).toEqual(before);
  });

  it('starts one rollout when it comes twenty times at once', async () => {
    const id = `msg_${randomUUID()}`;
    const before = await counts();
    const replies = await Promise.all(Array.from({ length: 20 }, async () => await send(deployed('v2'), { id })));
    expect(replies.map(({ status }) => status).sort()).toEqual([...Array<number>(19).fill(200), 202]);
    expect(new Set(replies.map(({ body }) => body.rollout?.id)).size).toBe(1);
    const after = await counts();
    expect(after.versions - before.versions).toBe(1);
    expect(after.rollouts - before.rollouts).toBe(1);
    expect(after.receipts - before.receipts).toBe(1);
  });

  it('starts one rollout when twenty different messages announce the same version at once', async () => {
    const before = await counts();
    const replies = await Promise.all(Array.from({ length: 20 }, async () => await send(deployed('v2'))));
    const taken = replies.filter(({ status }) => status === 202);
    expect(taken).toHaveLength(1);
    for (const { status, body } of replies.filter((reply) => !taken.includes(reply))) {
      expect([status, body.code]).toEqual([409, 'rollout.already-live']);
    }
    expect((await counts()).rollouts - before.rollouts).toBe(1);
  });

  it('is refused when its id came with another body', async () => {
    const id = `msg_${randomUUID()}`;
    await send(deployed('v2'), { id });
    const reply = await refused(deployed('v3'), { id });
    expect([reply.status, reply.body.code]).toEqual([409, 'hook.id-taken']);
  });

  it('is carried out when its first try failed and the reason is mended', async () => {
    const id = `msg_${randomUUID()}`;
    const missing = `m-${randomUUID()}`;
    const body = { ...deployed('v1'), model: missing };
    expect((await refused(body, { id })).status).toBe(404);
    await controller.call('POST', '/api/v1/models', { name: missing });
    expect((await send(body, { id })).status).toBe(202);
  });
});

describe('a hook that cannot be trusted', () => {
  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('is refused without %s', async (header) => {
    const reply = await refused(deployed('v2'), { headers: { [header]: undefined } });
    expect([reply.status, reply.body.code]).toEqual([401, 'hook.signature-missing']);
    expect(reply.body.errors).toMatchObject([{ pointer: `/${header}` }]);
  });

  it('is refused when one byte of the body changed', async () => {
    const id = `msg_${randomUUID()}`;
    const at = new Date();
    const signature = new Webhook(secret).sign(id, at, JSON.stringify(deployed('v2')));
    const reply = await refused(deployed('v3'), { id, at, headers: { 'webhook-signature': signature } });
    expect([reply.status, reply.body.code]).toEqual([401, 'hook.signature-invalid']);
  });

  it('is refused when the body was parsed and written again', async () => {
    const id = `msg_${randomUUID()}`;
    const at = new Date();
    const spaced = JSON.stringify(deployed('v2'), null, 2);
    const reply = await refused(deployed('v2'), { id, at, headers: { 'webhook-signature': new Webhook(secret).sign(id, at, spaced) } });
    expect(reply.body.code).toBe('hook.signature-invalid');
  });

  it('is refused when its id or its time was changed', async () => {
    expect((await refused(deployed('v2'), { headers: { 'webhook-id': 'msg_other' } })).body.code).toBe('hook.signature-invalid');
    const later = String(Math.floor(Date.now() / 1000) + 7);
    expect((await refused(deployed('v2'), { headers: { 'webhook-timestamp': later } })).body.code).toBe('hook.signature-invalid');
  });

  it('is refused when it was signed more than five minutes ago, or ahead', async () => {
    const old = await refused(deployed('v2'), { at: new Date(Date.now() - 310_000) });
    expect([old.status, old.body.code]).toEqual([401, 'hook.timestamp-too-old']);
    const ahead = await refused(deployed('v2'), { at: new Date(Date.now() + 310_000) });
    expect([ahead.status, ahead.body.code]).toEqual([401, 'hook.timestamp-too-new']);
  });

  it('is refused as a replay of a captured message once the window is over', async () => {
    const id = `msg_${randomUUID()}`;
    await send(deployed('v2'), { id });
    const replayed = await refused(deployed('v2'), { id, at: new Date(Date.now() - 310_000) });
    expect(replayed.body.code).toBe('hook.timestamp-too-old');
  });

  it('is refused with a foreign secret, and with the one before the last', async () => {
    const foreign = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    expect((await refused(deployed('v2'), { secret: foreign })).body.code).toBe('hook.signature-invalid');
    const replaced = secret;
    secret = (await controller.call<{ secret: string }>('PUT', '/api/v1/hook-sources/generic', {})).body.secret;
    expect((await refused(deployed('v2'), { secret: replaced })).body.code).toBe('hook.signature-invalid');
    expect((await send(deployed('v2'))).status).toBe(202);
  });

  it('is judged before its body is read: unsigned garbage is unsigned, not malformed', async () => {
    const reply = await refused('{"type": ', { headers: { 'webhook-signature': 'v1,AAAA' } });
    expect([reply.status, reply.body.code]).toEqual([401, 'hook.signature-invalid']);
  });

  it('finds nothing at a source that is not there, without an echo of its name', async () => {
    const reply = await refused(deployed('v2'), { path: '/hooks/no-such-thing' });
    expect([reply.status, reply.body.code]).toEqual([404, 'hook-source.not-found']);
    expect(reply.text).not.toContain('no-such-thing');
  });
});

describe('a signed hook with bad content', () => {
  it.each<[string, () => unknown, string]>([
    ['an unknown field', () => deployed('v2', { colour: 'red' }), '/colour'],
    ['an unknown field deep down', () => deployed('v2', { version: { ...version('v2'), sha: 'x' } }), '/version/sha'],
    ['a prototype', () => JSON.stringify(deployed('v2')).replace('{', '{"__proto__": {"model": "x"}, '), '/__proto__'],
    ['another type', () => deployed('v2', { type: 'version.deleted' }), '/type'],
    ['no version', () => deployed('v2', { version: undefined }), '/version'],
    ['a label with spaces', () => deployed('v2', { version: { ...version('v2'), label: 'a b' } }), '/version/label'],
    ['a wrong type of field', () => deployed('v2', { start: 'yes' }), '/start'],
  ])('names %s', async (_name, body, pointer) => {
    const reply = await refused(body());
    expect([reply.status, reply.body.code]).toEqual([400, 'request.invalid']);
    expect(reply.body.errors?.map((error) => error.pointer)).toContain(pointer);
    expect(reply.body.remedy).toBeTruthy();
  });

  it.each<[string, string, string]>([
    ['torn JSON', '{"type": "version.deployed"', 'request.malformed'],
    ['nothing at all', '', 'request.malformed'],
    ['brackets without end', '['.repeat(100_000), 'request.too-deep'],
  ])('says what is wrong with %s', async (_name, body, code) => {
    const reply = await refused(body);
    expect([reply.status, reply.body.code]).toEqual([400, code]);
  });

  it('says that a list is not an object', async () => {
    expect((await refused('[]')).body.code).toBe('request.invalid');
  });

  it('refuses a body beyond 1 MiB', async () => {
    const reply = await refused(deployed('v2', { padding: 'x'.repeat(1_100_000) }));
    expect([reply.status, reply.body.code]).toEqual([413, 'request.too-large']);
  });

  it('refuses other content types', async () => {
    const reply = await refused(deployed('v2'), { headers: { 'content-type': 'text/plain' } });
    expect(reply.status).toBe(415);
  });

  it('names the model that is not there', async () => {
    const reply = await refused({ ...deployed('v2'), model: 'nobody' });
    expect([reply.status, reply.body.code]).toEqual([404, 'model.not-found']);
    expect(reply.body.errors).toMatchObject([{ pointer: '/model' }]);
  });

  it('names a label that means other content, and leaves nothing behind', async () => {
    const reply = await refused(deployed('v1', { version: { label: 'v1', spec: { engine: { kind: 'llama', file: 'other.gguf' } } } }));
    expect([reply.status, reply.body.code]).toEqual([409, 'version.label-taken']);
    expect(reply.body.errors).toMatchObject([{ pointer: '/version/label' }]);
  });

  it('registers no version when its rollout cannot start', async () => {
    const off = { enabled: false };
    const noChecks = { checks: { entropy: off, length: off, errors: off, latency: off } };
    const reply = await refused(deployed('v2', { plan: noChecks }));
    expect(reply.status).toBe(422);
    expect(reply.body.errors?.[0]?.pointer).toMatch(/^\/plan/);
    const gated = await refused(deployed('v2', { plan: { gate: { testSet: 'nothing' } } }));
    expect([gated.status, gated.body.code]).toEqual([404, 'test-set.not-found']);
    expect(gated.body.errors).toMatchObject([{ pointer: '/plan/gate/testSet' }]);
  });
});

describe('hook sources', () => {
  it('keep no secret in clear', async () => {
    const rows = await controller.test.database.manager.query<{ secret: Buffer }[]>('select secret from hook_sources');
    const stored = Buffer.concat(rows.map((row) => row.secret));
    expect(stored.includes(Buffer.from(secret.slice(6)))).toBe(false);
    expect(stored.includes(Buffer.from(secret.slice(6), 'base64'))).toBe(false);
    expect((await controller.call('GET', '/api/v1/hook-sources')).text).not.toContain('whsec_');
  });

  it('must be of a kind that is understood', async () => {
    const reply = await controller.call<Problem>('PUT', '/api/v1/hook-sources/carrier-pigeon', {});
    expect([reply.status, reply.body.code]).toEqual([404, 'hook-source.not-found']);
    expect(reply.body.remedy).toContain('generic');
  });
});
