// What a careless or hostile caller can send to the admin API: each gets a problem that names field and remedy, and nothing is half done.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '#libs/contract';
import { startTestController, type TestController } from '../../support/controller.js';

let controller: TestController;
let rollout: string;
beforeAll(async () => {
  controller = await startTestController();
  await controller.call('POST', '/api/v1/models', { name: 'support' });
  await controller.call('POST', '/api/v1/models', { name: 'fresh' });
  for (const label of ['v1', 'v2', 'v3']) await controller.call('POST', '/api/v1/models/support/versions', version(label));
  await controller.call('PATCH', '/api/v1/models/support', { stable: 'v1' });
  rollout = (await controller.call<{ id: string }>('POST', '/api/v1/models/support/rollouts', { candidate: 'v2' })).body.id;
});
afterAll(async () => {
  await controller?.close();
});

const version = (label: string, engine: object = {}) => ({ label, spec: { engine: { kind: 'llama', file: `${label}.gguf`, ...engine } } });

/** Rows of everything that a request could write. */
async function written(): Promise<unknown> {
  const [row] = await controller.test.database.manager.query<unknown[]>(
    `select (select count(*)::int from models) as models, (select count(*)::int from versions) as versions, (select count(*)::int from rollouts) as rollouts,
       (select count(*)::int from rollout_events) as events, (select count(*)::int from outbox) as outbox, (select count(*)::int from audit) as audit,
       (select count(*)::int from test_sets) as test_sets, (select count(*)::int from evaluations) as evaluations, (select generation from routing_table) as generation,
       (select command from rollouts where id = $1) as command`,
    [rollout],
  );
  return row;
}

type Case = [what: string, method: string, path: string, body: unknown, status: number, code: string, pointer: string | null];
const off = { enabled: false };
const plan = (own: object) => ({ candidate: 'v3', plan: own });
const rollouts = '/api/v1/models/support/rollouts';
const versions = '/api/v1/models/support/versions';
const models = '/api/v1/models';

describe('the admin API refuses', () => {
  it.each<Case>([
    // names that mean nothing
    ['an unknown model', 'GET', '/api/v1/models/nobody', undefined, 404, 'model.not-found', '/model'],
    ['a version of an unknown model', 'POST', '/api/v1/models/nobody/versions', version('v1'), 404, 'model.not-found', '/model'],
    ['a rollout of an unknown model', 'POST', '/api/v1/models/nobody/rollouts', { candidate: 'v1' }, 404, 'model.not-found', '/model'],
    ['a rollout of an unknown version', 'POST', rollouts, { candidate: 'v9' }, 404, 'version.not-found', '/candidate'],
    ['an unknown stable version', 'PATCH', '/api/v1/models/fresh', { stable: 'v9' }, 404, 'version.not-found', '/stable'],
    ['an unknown test set', 'POST', rollouts, plan({ gate: { testSet: 'nobody' } }), 404, 'test-set.not-found', '/plan/gate/testSet'],
    ['an unknown rollout', 'GET', `/api/v1/rollouts/${randomUUID()}`, undefined, 404, 'rollout.not-found', '/id'],
    ['a NUL in the address', 'GET', '/api/v1/models/a%00b', undefined, 400, 'request.malformed', ''],
    ['half a character in a reason', 'POST', '/api/v1/rollouts/ID/abort', '{"reason": "\\ud800"}', 400, 'request.invalid', '/reason'],
    ['a rollout id that is none', 'GET', '/api/v1/rollouts/1%20or%201=1', undefined, 404, 'rollout.not-found', '/id'],
    ['an unknown address', 'GET', '/api/v1/nothing', undefined, 404, 'route.not-found', null],
    ['another method', 'DELETE', '/api/v1/models', undefined, 405, 'route.method-not-allowed', null],
    // what cannot be
    ['a model of a taken name', 'POST', models, { name: 'support' }, 409, 'model.name-taken', '/name'],
    ['a label that means other content', 'POST', versions, version('v1', { contextSize: 128 }), 409, 'version.label-taken', '/label'],
    ['content that has another label', 'POST', versions, version('v4', { file: 'v1.gguf' }), 409, 'version.content-known', '/spec'],
    ['a rollout of stable itself', 'POST', rollouts, { candidate: 'v1' }, 422, 'rollout.candidate-is-stable', '/candidate'],
    ['a second rollout at once', 'POST', rollouts, { candidate: 'v3' }, 409, 'rollout.already-live', null],
    [
      'a stable version put in by hand beside another',
      'PATCH',
      '/api/v1/models/support',
      { stable: 'v2' },
      409,
      'model.stable-set',
      '/stable',
    ],
    // plans
    [
      'a plan without any active check',
      'POST',
      rollouts,
      plan({ checks: { entropy: off, shape: off, length: off, errors: off, refusals: off, latency: off } }),
      422,
      'plan.no-active-check',
      '/plan/checks',
    ],
    ['a plan that nothing proves', 'POST', rollouts, plan({ promotion: { gating: [] } }), 422, 'plan.no-proof', '/plan/promotion/gating'],
    [
      'steps that do not rise',
      'POST',
      rollouts,
      plan({ steps: [{ weightPct: 50 }, { weightPct: 5 }] }),
      422,
      'plan.steps-not-rising',
      '/plan/steps/1/weightPct',
    ],
    [
      'a deadline before the least time',
      'POST',
      rollouts,
      plan({ steps: [{ weightPct: 5, minS: 9, deadlineS: 8 }] }),
      422,
      'plan.deadline-too-early',
      '/plan/steps/0/deadlineS',
    ],
    ['only a step of 100%', 'POST', rollouts, plan({ steps: [{ weightPct: 100 }] }), 422, 'plan.no-comparison', '/plan/steps'],
    [
      'a default plan without any active check',
      'POST',
      models,
      { name: 'm', defaultPlan: { checks: { entropy: off, shape: off, length: off, errors: off, refusals: off, latency: off } } },
      422,
      'plan.no-active-check',
      '/defaultPlan/checks',
    ],
    ['no step at all', 'POST', rollouts, plan({ steps: [] }), 400, 'request.invalid', '/plan/steps'],
    ['a step of nothing', 'POST', rollouts, plan({ steps: [{ weightPct: 0 }] }), 400, 'request.invalid', '/plan/steps/0/weightPct'],
    ['a step of more than all', 'POST', rollouts, plan({ steps: [{ weightPct: 101 }] }), 400, 'request.invalid', '/plan/steps/0/weightPct'],
    ['a negative time', 'POST', rollouts, plan({ bakeS: -1 }), 400, 'request.invalid', '/plan/bakeS'],
    ['an alpha of 1', 'POST', rollouts, plan({ alpha: 1 }), 400, 'request.invalid', '/plan/alpha'],
    [
      'a margin that nothing could meet',
      'POST',
      rollouts,
      plan({ checks: { entropy: { down: 1 } } }),
      400,
      'request.invalid',
      '/plan/checks/entropy/down',
    ],
    ['half a response', 'POST', rollouts, plan({ guards: { minResponses: 1.5 } }), 400, 'request.invalid', '/plan/guards/minResponses'],
    ['a mirror without a share', 'POST', rollouts, plan({ shadow: {} }), 400, 'request.invalid', '/plan/shadow/share'],
    ['a mirror of more than all', 'POST', rollouts, plan({ shadow: { share: 1.5 } }), 400, 'request.invalid', '/plan/shadow/share'],
    ['a check that does not exist', 'POST', rollouts, plan({ checks: { vibes: {} } }), 400, 'request.invalid', '/plan/checks/vibes'],
    ['a typing error in a plan', 'POST', rollouts, plan({ stpes: [] }), 400, 'request.invalid', '/plan/stpes'],
    // bodies
    ['malformed JSON', 'POST', models, '{"name": "m"', 400, 'request.malformed', ''],
    ['no body', 'POST', models, '', 400, 'request.malformed', ''],
    ['a list for an object', 'POST', models, [], 400, 'request.invalid', ''],
    ['an unknown field', 'POST', models, { name: 'm', colour: 'red' }, 400, 'request.invalid', '/colour'],
    ['a prototype', 'POST', models, '{"name": "m", "__proto__": {"name": "n"}}', 400, 'request.malformed', ''],
    ['a name with spaces', 'POST', models, { name: 'a b' }, 400, 'request.invalid', '/name'],
    ['a name with NUL', 'POST', models, { name: 'a\0b' }, 400, 'request.invalid', '/name'],
    [
      'a lineage with NUL, which Postgres cannot hold',
      'POST',
      versions,
      { ...version('v5'), lineage: { commit: 'a\0b' } },
      400,
      'request.invalid',
      '/lineage/commit',
    ],
    ['a reason with NUL', 'POST', `/api/v1/rollouts/ID/abort`, { reason: 'a\0b' }, 400, 'request.invalid', '/reason'],
    ['a test set with NUL', 'POST', rollouts, plan({ gate: { testSet: 'a\0b' } }), 400, 'request.invalid', '/plan/gate/testSet'],
    [
      'an unknown kind of engine',
      'POST',
      versions,
      { label: 'v5', spec: { engine: { kind: 'magic' } } },
      400,
      'request.invalid',
      '/spec/engine/kind',
    ],
    ['a digest that is none', 'POST', versions, version('v5', { sha256: 'abc' }), 400, 'request.invalid', '/spec/engine/sha256'],
    [
      'an upstream of another protocol',
      'POST',
      versions,
      { label: 'v5', spec: { engine: { kind: 'openai', baseUrl: 'file:///etc/passwd', model: 'x' } } },
      400,
      'request.invalid',
      '/spec/engine/baseUrl',
    ],
    ['a command without a reason', 'POST', '/api/v1/rollouts/ID/rollback', {}, 400, 'request.invalid', '/reason'],
    ['an unknown command', 'POST', '/api/v1/rollouts/ID/explode', { reason: 'x' }, 404, 'route.not-found', null],
    ['an unknown question in the query', 'GET', '/api/v1/rollouts?colour=red', undefined, 400, 'request.invalid', '/colour'],
  ])('%s', async (_what, method, path, body, status, code, pointer) => {
    const before = await written();
    const reply = await controller.call<Problem>(method, path.replace('ID', rollout), body);
    expect(reply.body).toMatchObject({ status, code, type: `urn:serin:problem:${code}` });
    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toContain('application/problem+json');
    if (pointer !== null) expect(reply.body.errors?.map((error) => error.pointer)).toContain(pointer);
    expect(reply.body.remedy?.length, reply.text).toBeGreaterThan(10);
    expect(await written()).toEqual(before);
  });

  it('a body beyond 1 MiB', async () => {
    const before = await written();
    const reply = await controller.call<Problem>('POST', models, { name: 'm', x: 'x'.repeat(1_100_000) }).catch((error: unknown) => error);
    // Either the answer arrives or the refused upload is cut; nothing else.
    if (!(reply instanceof Error))
      expect(reply).toMatchObject({ status: 413, body: { code: 'request.too-large', remedy: expect.stringContaining('1 MiB') } });
    expect(await written()).toEqual(before);
  });

  it('another content type', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded'])
      expect(await controller.call('POST', models, 'name=m', { 'content-type': type }), type).toMatchObject({
        status: 415,
        body: { code: 'request.unsupported-media-type' },
      });
  });

  it('whoever shows no key, a wrong one, or one that may not', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer nonsense', 'Basic YTpi']) {
      const reply = await controller.call<Problem>('POST', models, { name: 'm' }, { authorization });
      expect([reply.status, reply.body.code]).toEqual([401, 'auth.invalid']);
    }
  });

  it('a body nested without end', async () => {
    expect((await controller.call('POST', models, '['.repeat(100_000))).status).toBe(400);
  });
});

it('after all of it the controller answers, and has logged no error of its own', async () => {
  expect((await controller.call('GET', `/api/v1/rollouts/${rollout}`)).body).toMatchObject({
    phase: 'pending',
    candidate: { label: 'v2' },
  });
  expect((await controller.call('GET', '/readyz')).status).toBe(200);
});
