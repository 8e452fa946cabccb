import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem, TestSetResource, TestSetVersionResource } from '#libs/contract';
import { ApiKeyStore } from '#libs/storage';
import { startTestController, type TestController } from '../support/controller.js';

let controller: TestController;

beforeAll(async () => {
  controller = await startTestController();
});
afterAll(async () => {
  await controller.close();
});

const ndjson = { 'content-type': 'application/x-ndjson' };
const good = { id: 'a', messages: [{ role: 'user', content: '1+1' }], expected: '2', scoring: { type: 'exact' } };
const lines = (...cases: unknown[]): string => cases.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n');

async function newSet(): Promise<string> {
  const name = `set-${randomUUID().slice(0, 8)}`;
  expect((await controller.call('POST', '/api/v1/test-sets', { name })).status).toBe(201);
  return name;
}

async function stored(sql: string): Promise<number> {
  const [row]: { count: string }[] = await controller.test.database.manager.query(sql);
  return Number(row?.count);
}

describe('test sets', () => {
  it('are made once by name; a repeat with its key gets the first answer', async () => {
    const name = `set-${randomUUID().slice(0, 8)}`;
    const key = { 'idempotency-key': randomUUID() };
    const first = await controller.call<TestSetResource>('POST', '/api/v1/test-sets', { name }, key);
    expect(first).toMatchObject({ status: 201, body: { name, versions: [] } });
    expect(await controller.call('POST', '/api/v1/test-sets', { name }, key)).toMatchObject({ status: 201, body: first.body });
    const taken = await controller.call<Problem>('POST', '/api/v1/test-sets', { name });
    expect(taken).toMatchObject({ status: 409, body: { code: 'test-set.name-taken', errors: [{ pointer: '/name' }] } });
    expect(taken.body.remedy).toContain(`/api/v1/test-sets/${name}/versions`);
  });

  it('freeze the bundled cases, and the same cases only once however they are written', async () => {
    const name = await newSet();
    const text = await readFile(new URL('../../demo/testset.jsonl', import.meta.url), 'utf8');
    const path = `/api/v1/test-sets/${name}/versions`;
    const frozen = await controller.call<TestSetVersionResource>('POST', path, text, ndjson);
    expect(frozen).toMatchObject({ status: 201, body: { number: 1, caseCount: 490, createdBy: 'key:test-admin' } });
    expect(frozen.body.digest).toMatch(/^[0-9a-f]{64}$/);
    const again = text
      .trim()
      .split('\n')
      .map((line) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line) as object).reverse())))
      .join('\r\n');
    expect(await controller.call('POST', path, again, ndjson)).toMatchObject({ status: 200, body: frozen.body });
    expect(await controller.call('POST', path, lines(good), ndjson)).toMatchObject({ status: 201, body: { number: 2, caseCount: 1 } });
    const shown = await controller.call<TestSetResource>('GET', `/api/v1/test-sets/${name}`);
    expect(shown.body.versions.map(({ number, caseCount }) => [number, caseCount])).toEqual([
      [2, 1],
      [1, 490],
    ]);
  });

  it('freeze twins that come at once as one version', async () => {
    const name = await newSet();
    const answers = await Promise.all(
      Array.from({ length: 6 }, async () => await controller.call('POST', `/api/v1/test-sets/${name}/versions`, lines(good), ndjson)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it('are listed by name in pages', async () => {
    await newSet();
    await newSet();
    const seen: string[] = [];
    let cursor: string | null = '';
    do {
      const page: { body: { items: TestSetResource[]; nextCursor: string | null } } = await controller.call(
        'GET',
        `/api/v1/test-sets?limit=1&cursor=${cursor}`,
      );
      seen.push(...page.body.items.map(({ name }) => name));
      cursor = page.body.nextCursor;
    } while (cursor !== null);
    expect(seen.length).toBeGreaterThanOrEqual(2);
    expect(seen).toEqual([...seen].sort());
  });

  it('leave an entry in the audit log', async () => {
    const name = await newSet();
    await controller.call('POST', `/api/v1/test-sets/${name}/versions`, lines(good), ndjson);
    expect(await stored(`select count(*) from audit where subject like 'test-set/${name}%'`)).toBe(2);
  });
});

describe('bad input', () => {
  it.each([
    ['a line that is no JSON', lines(good, '{"id":'), 422, 'test-set.invalid', '/line/2', /Line 2: the line is not JSON/],
    [
      'an unknown field',
      lines(good, { ...good, id: 'b', answer: '2' }),
      422,
      'test-set.invalid',
      '/line/2/answer',
      /Line 2: answer is not a known field/,
    ],
    ['a repeated id', lines(good, good), 422, 'test-set.invalid', '/line/2/id', /"a" was used on line 1/],
    [
      'an option out of range',
      lines({ ...good, scoring: { type: 'rouge', min: 2 } }),
      422,
      'test-set.invalid',
      '/line/1/scoring/min',
      /number from 0 to 1/,
    ],
    ['no case at all', '\n', 422, 'test-set.empty', '/line/1', /no case/],
  ])('%s is refused by line and field, and nothing is stored', async (_, body, status, code, pointer, message) => {
    const name = await newSet();
    const before = await stored('select count(*) from test_cases');
    const answer = await controller.call<Problem>('POST', `/api/v1/test-sets/${name}/versions`, body, ndjson);
    expect(answer).toMatchObject({ status, body: { code, errors: [{ pointer }] } });
    expect(answer.body.detail).toMatch(message);
    expect(answer.body.remedy).toBeTruthy();
    expect(await stored('select count(*) from test_cases')).toBe(before);
    expect((await controller.call<TestSetResource>('GET', `/api/v1/test-sets/${name}`)).body.versions).toEqual([]);
  });

  it('an unknown test set is told how to make it', async () => {
    for (const [method, path, body] of [
      ['GET', '/api/v1/test-sets/nobody', undefined],
      ['POST', '/api/v1/test-sets/nobody/versions', lines(good)],
    ] as const) {
      const answer = await controller.call<Problem>(method, path, body, body === undefined ? {} : ndjson);
      expect(answer).toMatchObject({ status: 404, body: { code: 'test-set.not-found' } });
      expect(answer.body.remedy).toMatch(/POST \/api\/v1\/test-sets/);
    }
  });

  it('another content type, a bad name and a body beyond the bound are refused', async () => {
    const name = await newSet();
    const path = `/api/v1/test-sets/${name}/versions`;
    const asJson = await controller.call<Problem>('POST', path, good);
    expect(asJson).toMatchObject({ status: 415 });
    expect(asJson.body.remedy).toMatch(/x-ndjson/);
    expect((await controller.call('POST', '/api/v1/test-sets', { name: 'no spaces' })).status).toBe(400);
    expect((await controller.call('POST', '/api/v1/test-sets', { name: 'ok', more: 1 })).status).toBe(400);
    expect((await controller.call<Problem>('POST', path, 'x'.repeat(17 * 1_048_576), ndjson)).body.code).toBe('request.too-large');
  });

  it('a key without the scope may read but not write, or nothing', async () => {
    const { key } = await new ApiKeyStore().create(controller.test.database.manager, { name: 'reader', scopes: ['evaluations:read'] });
    const headers = { authorization: `Bearer ${key}` };
    expect((await controller.call('GET', '/api/v1/test-sets', undefined, headers)).status).toBe(200);
    expect(await controller.call('POST', '/api/v1/test-sets', { name: 'x' }, headers)).toMatchObject({
      status: 403,
      body: { code: 'auth.forbidden' },
    });
  });
});
