// The request log of a running gateway: a line for each request, by its end state, without a word of it; and no disk delays an answer.
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakeEngine } from '#libs/engine';
import { post } from '../../support/client.js';
import { aGateway, aKey, aVersion, fakeFactory, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { RelayEngine } from '../../support/relay-engine.js';

const everything = { share: 1, bodies: false, mostBytes: 134_217_728 };
const engine = new FakeEngine();
const breaking = new FakeEngine({ tokens: () => ['a', 'b', 'c'], dieAfterTokens: 2 });
const failing = new FakeEngine({ failWith: () => ({ code: 'engine.upstream-error', message: 'broken', retryable: true }) });
const relayed = new RelayEngine();
const path = '/v1/chat/completions';
let test: TestDatabase;
let key: string;
let generation: number;
let gateway: TestGateway | null = null;

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  const versions = ['good', 'breaks', 'short'].map((name) => aVersion(name, undefined, name));
  const [stable, candidate] = [aVersion('v1', undefined, 'canaried'), aVersion('v2', undefined, 'canaried')];
  const rollout = { id: '00000000-0000-4000-8000-000000000001', candidate: candidate.id, weight: 1, epoch: 1, salt: 'ab' };
  generation = await publish(test, {
    routes: [...versions.map(({ id, model }) => ({ model, stable: id, rollout: null })), { model: 'canaried', stable: stable.id, rollout }],
    versions: [...versions, stable, candidate],
  });
});
afterAll(async () => await test?.drop());
afterEach(async () => {
  await gateway?.remove();
  gateway = null;
});

async function started(options: Parameters<typeof aGateway>[1]): Promise<TestGateway> {
  const factory = fakeFactory({ good: engine, breaks: breaking, short: relayed, v1: engine, v2: failing });
  gateway = await aGateway(test.url, { factory, ...options });
  await untilServing(gateway.url, generation);
  return gateway;
}

const chat = (model: string, more: object = {}) => ({ model, messages: [{ role: 'user', content: 'a private word' }], ...more });

interface Figures {
  readonly written: number;
  readonly dropped: number;
}

async function figures({ url }: TestGateway): Promise<Figures | null> {
  const response = await fetch(`${url}/readyz?verbose`);
  return ((await response.json()) as { checks: { requestLog: Figures | null } }).checks.requestLog;
}

async function textOf(of: TestGateway, lines: number): Promise<string> {
  await until(async () => (await figures(of))?.written === lines, `${lines} lines`);
  return await readFile(join(of.dataDir, 'gateway', 'requests', 'requests.jsonl'), 'utf8');
}

describe('the request log', () => {
  it('is off unless it is wished', async () => {
    const off = await started({});
    expect(await figures(off)).toBeNull();
    expect((await post({ url: off.url, key }, path, chat('good'))).status).toBe(200);
  });

  it('has each request once, as it ended, and neither keys nor words', async () => {
    const on = await started({ requestLog: everything });
    const to = { url: on.url, key };
    const named = (id: string) => ({ 'x-request-id': id });
    await post(to, path, chat('good'), named('request-ok'));
    await post(to, path, chat('breaks', { stream: true }), named('request-cut'));
    await post(to, path, chat('canaried'), named('request-again'));
    await post(to, path, chat('nowhere'), named('request-lost'));
    await post({ url: on.url, key: 'sk-serin-not-a-key' }, path, chat('good'), named('request-stranger'));
    const text = await textOf(on, 5);
    expect(text).not.toMatch(/sk-serin|Bearer|private/);
    const lines = new Map(
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => [JSON.parse(line).requestId, JSON.parse(line)]),
    );
    expect(lines.get('request-ok')).toMatchObject({ state: 'ok', status: 200, model: 'good', version: 'good', keyName: 'test', tries: 1 });
    expect(lines.get('request-ok')).toMatchObject({ finishReason: 'stop', outputTokens: expect.any(Number), ttftMs: expect.any(Number) });
    expect(lines.get('request-cut')).toMatchObject({ state: 'cut', status: 200, stream: true, version: 'breaks', finishReason: null });
    expect(lines.get('request-again')).toMatchObject({ state: 'ok', version: 'v1', arm: 'candidate', tries: 2 });
    expect(lines.get('request-lost')).toMatchObject({ state: 'rejected', status: 404, code: 'model_not_found', version: null, tries: 0 });
    expect(lines.get('request-stranger')).toMatchObject({ state: 'rejected', status: 401, code: 'invalid_api_key', keyId: null });
  });

  it('has what was asked and answered, by either way, only when that is wished as well', async () => {
    const on = await started({ requestLog: { ...everything, bodies: true } });
    const to = { url: on.url, key };
    relayed.serve = (one) => {
      one.write('data: {"choices":[]}\n\n');
      one.write('data: [DONE]\n\n');
      one.end();
    };
    await post(to, path, chat('good'));
    await post(to, path, chat('short', { stream: true }));
    const [long, short] = (await textOf(on, 2))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(JSON.parse(long.request)).toEqual(chat('good'));
    expect(JSON.parse(long.answer)).toMatchObject({ object: 'chat.completion' });
    expect(short.answer).toBe('data: {"choices":[]}\n\ndata: [DONE]\n\n');
  });

  it('that cannot be written loses its lines, says so, and no request waits for it', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'serin-gateway-'));
    await mkdir(join(dataDir, 'gateway'));
    await writeFile(join(dataDir, 'gateway', 'requests'), 'in the way');
    const on = await started({ dataDir, requestLog: everything });
    for (let i = 0; i < 5; i += 1) expect((await post({ url: on.url, key }, path, chat('good'))).status).toBe(200);
    await until(async () => (await figures(on))?.dropped === 5, 'five lines to be dropped');
  });
});
