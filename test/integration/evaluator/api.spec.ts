import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEvaluator } from '#apps/evaluator';
import type { EvaluationCaseResource, EvaluationResource, Problem } from '#libs/contract';
import { RoutingStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { startTestController, type TestController } from '../../support/controller.js';
import { FakeGateway } from './fake-gateway.js';
import { type Scene, setScene, until } from './scene.js';

let controller: TestController;
let scene: Scene;

beforeAll(async () => {
  controller = await startTestController();
  scene = await setScene(controller.test.database, 30);
});
afterAll(async () => {
  await controller.close();
});

const path = '/api/v1/evaluations';
const request = (more: object = {}): object => ({ model: scene.model, candidate: 'v2', testSet: scene.testSet, ...more });

describe('POST /api/v1/evaluations', () => {
  it('queues a comparison with stable, tells gateways to load both, and shows every case when it is done', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const asked = await controller.call<EvaluationResource>('POST', path, request({ margin: 0.1 }), key);
    expect(asked).toMatchObject({
      status: 201,
      body: {
        model: scene.model,
        candidate: 'v2',
        baseline: 'v1',
        state: 'queued',
        planned: 30,
        margin: 0.1,
        verdict: null,
        finding: null,
      },
    });
    expect((await controller.call<EvaluationResource>('POST', path, request({ margin: 0.1 }), key)).body.id).toBe(asked.body.id);
    const table = await new RoutingStore().read(controller.test.database.manager);
    expect(Object.keys(table?.versions ?? {})).toEqual(expect.arrayContaining([scene.candidateId, scene.baselineId]));

    const fake = new FakeGateway(({ version, body }) => {
      const n = Number.parseInt(body.messages.at(-1)?.content ?? '', 10);
      return version === 'v2' && n === 4 ? '<b>not a number</b>' : String(n + 1);
    });
    const evaluator = await startEvaluator({
      databaseUrl: controller.test.url,
      host: '127.0.0.1',
      port: 0,
      gatewayUrl: await fake.start(),
      gatewayKey: 'sk-serin-test',
      log: createLog('evaluator', 'silent'),
    });
    try {
      await until(controller.test.database, asked.body.id);
    } finally {
      await evaluator.close();
      await fake.stop();
    }
    const done = await controller.call<EvaluationResource>('GET', `${path}/${asked.body.id}`);
    expect(done.body).toMatchObject({ state: 'complete', done: { candidate: 30, baseline: 30 }, finding: { worse: 1, better: 0, n: 30 } });

    const seen: EvaluationCaseResource[] = [];
    let cursor: string | null = null;
    do {
      const page: { body: { items: EvaluationCaseResource[]; nextCursor: string | null } } = await controller.call(
        'GET',
        `${path}/${asked.body.id}/cases?limit=7${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...page.body.items);
      cursor = page.body.nextCursor;
    } while (cursor !== null);
    expect(seen.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, n) => `sum-${n}`));
    const flipped = await controller.call<{ items: EvaluationCaseResource[] }>('GET', `${path}/${asked.body.id}/cases?flipped=true`);
    expect(flipped.body.items).toMatchObject([
      {
        id: 'sum-4',
        candidate: { output: '<b>not a number</b>', passed: false, outputTokens: 3 },
        baseline: { output: '5', passed: true },
      },
    ]);
  });

  it('can be cancelled once', async () => {
    const { body } = await controller.call<EvaluationResource>('POST', path, request());
    expect(await controller.call('POST', `${path}/${body.id}/cancel`)).toMatchObject({ status: 200, body: { state: 'cancelled' } });
    expect(await controller.call('POST', `${path}/${body.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'evaluation.ended' } });
  });

  it.each([
    ['an unknown model', { model: 'nobody' }, 404, 'model.not-found', '/model'],
    ['an unknown candidate', { candidate: 'v9' }, 404, 'version.not-found', '/candidate'],
    ['an unknown baseline', { baseline: 'v9' }, 404, 'version.not-found', '/baseline'],
    ['an unknown test set', { testSet: 'nobody' }, 404, 'test-set.not-found', '/testSet'],
    ['a version against itself', { baseline: 'v2' }, 422, 'evaluation.same-version', '/baseline'],
    ['an unknown field', { tests: 1 }, 400, 'request.invalid', '/tests'],
    ['a margin beyond all', { margin: 2 }, 400, 'request.invalid', '/margin'],
  ])('refuses %s by its field, with the remedy, and queues nothing', async (_, wrong, status, code, pointer) => {
    const count = async (): Promise<unknown> => await controller.test.database.manager.query('select count(*) from evaluations');
    const before = await count();
    const answer = await controller.call<Problem>('POST', path, request(wrong));
    expect(answer).toMatchObject({ status, body: { code } });
    expect(answer.body.errors?.[0]?.pointer).toBe(pointer);
    expect(answer.body.remedy).toBeTruthy();
    expect(await count()).toEqual(before);
  });

  it('refuses a test set without a frozen version, saying how to freeze one', async () => {
    const name = `empty-${randomUUID().slice(0, 8)}`;
    await controller.call('POST', '/api/v1/test-sets', { name });
    const answer = await controller.call<Problem>('POST', path, request({ testSet: name }));
    expect(answer).toMatchObject({ status: 404, body: { code: 'test-set.not-found' } });
    expect(answer.body.remedy).toContain(`/api/v1/test-sets/${name}/versions`);
  });

  it('knows no evaluation by a wrong id', async () => {
    for (const id of [randomUUID(), 'x']) {
      expect(await controller.call('GET', `${path}/${id}`)).toMatchObject({ status: 404, body: { code: 'evaluation.not-found' } });
      expect((await controller.call('GET', `${path}/${id}/cases`)).status).toBe(404);
    }
  });
});
