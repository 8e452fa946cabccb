// A promoted version against its own past, on real Postgres: it learns, alarms, is answered; and goes back only where plan, heartbeat and people agree.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyHistograms, histogramOf, type WatchState, type Window } from '#libs/analysis';
import { defaultPlan } from '#libs/rollout';
import { HeartbeatStore, ModelStore, RolloutStore, WatchStore, WindowStore } from '#libs/storage';
import { startTestController, type TestController } from '../support/controller.js';
import { aWindow } from '../support/observation.js';
import { normals, uniforms } from '../support/random.js';

const minuteMs = 60_000;
let controller: TestController;

beforeAll(async () => {
  controller = await startTestController();
}, 60_000);

afterAll(async () => {
  await controller.close();
});

interface Promoted {
  readonly model: string;
  readonly modelId: string;
  readonly v1: string;
  readonly v2: string;
}

/** v2 stable after a rollout from v1, told to go back by itself or not. */
async function promoted({ rollback }: { readonly rollback: boolean }): Promise<Promoted> {
  const { manager } = controller.test.database;
  const model = `w-${randomUUID().slice(0, 8)}`;
  await controller.call('POST', '/api/v1/models', { name: model });
  const ids: string[] = [];
  for (const label of ['v1', 'v2']) {
    const spec = { engine: { kind: 'openai', baseUrl: 'http://127.0.0.1:9/v1', model: `${model}-${label}` } };
    ids.push((await controller.call<{ id: string }>('POST', `/api/v1/models/${model}/versions`, { label, spec })).body.id);
  }
  const [v1 = '', v2 = ''] = ids;
  const { id: modelId } = (await new ModelStore().byName(manager, model)) ?? { id: '' };
  const plan = { ...defaultPlan, watch: { enabled: true, rollback, everyS: 3_600, referenceS: 3_600 } };
  const rolloutId = randomUUID();
  await manager.query(
    `insert into rollouts (id, model_id, stable_version_id, candidate_version_id, plan, phase, state, salt, created_by, ended_at)
     values ($1, $2, $3, $4, $5, 'promoted', '{"phase":"promoted","at":0}', 'aa', 'test', now())`,
    [rolloutId, modelId, v1, v2, JSON.stringify(plan)],
  );
  await new ModelStore().setStable(manager, modelId, v2);
  return { model, modelId, v1, v2 };
}

async function watchOf(model: string) {
  return (
    await controller.call<Record<string, unknown> & { phase: string; alarm: { direction: string } | null }>(
      'GET',
      `/api/v1/models/${model}/watch`,
    )
  ).body;
}

async function until<T>(look: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (let turn = 0; turn < 300; turn += 1) {
    const value = await look();
    if (good(value)) return value;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error('not within 30 s');
}

/** Puts the watch back by `minutes`, as if it had begun then, and gives the version as many minutes of answers. */
async function past(one: Promoted, minutes: number, entropyOf: (minute: number) => number): Promise<void> {
  const { manager } = controller.test.database;
  const store = new WatchStore();
  await until(
    async () => await store.ofModel(manager, one.modelId),
    (watch) => watch !== null,
  );
  const now = await new RolloutStore().now(manager);
  const from = Math.floor(now / minuteMs) * minuteMs - minutes * minuteMs;
  const normal = normals(uniforms(5));
  const windows: Window[] = Array.from({ length: minutes }, (_, minute) => {
    const values = Array.from({ length: 20 }, () => 0.6 * entropyOf(minute) * Math.exp(0.3 * normal()));
    return aWindow(
      { model: one.model, versionId: one.v2, rolloutId: null, epoch: null, arm: null, secondAt: from + minute * minuteMs },
      { responses: 20, histograms: { ...emptyHistograms(), entropy: histogramOf(values), length: histogramOf(values.map(() => 80)) } },
    );
  });
  await new WindowStore().insert(manager, randomUUID(), 1, windows);
  const fresh: WatchState = { nextAt: from, learning: { since: from, days: {} }, reference: null, detectors: {}, alarm: null, input: null };
  await store.save(manager, one.modelId, { state: fresh, nextLookAt: 0, beatNow: false });
}

const collapsesAfter = (minute: number) => (at: number) => (at < minute ? 1 : 0.2);

async function beat(one: Promoted, verdict: 'pass' | 'fail'): Promise<void> {
  const { manager } = controller.test.database;
  const store = new HeartbeatStore();
  await manager.query(`update watches set heartbeat_at = now() where model_id = $1`, [one.modelId]);
  // Others may be due as well: they are held for a minute and forgotten.
  const due = await until(
    async () => await store.takeDue(manager, 60_000),
    (taken) => taken?.modelId === one.modelId,
  );
  if (!due) throw new Error('it was due');
  await store.finish(manager, due, {
    verdict,
    texts: 40,
    logE: verdict === 'fail' ? 20 : -5,
    lnR: verdict === 'fail' ? 20 : -5,
    nllRatio: 1,
    note: 'as told',
  });
  await manager.query(`update watches set next_look_at = now() where model_id = $1`, [one.modelId]);
}

const stableOf = async (model: string): Promise<string | undefined> =>
  (await controller.call<{ stable: { label: string } | null }>('GET', `/api/v1/models/${model}`)).body.stable?.label;
const told = async (model: string): Promise<string[]> =>
  (
    await controller.test.database.manager.query<{ type: string }[]>(`select type from outbox where subject = $1 order by created_at`, [
      `model/${model}`,
    ])
  )
    .map(({ type }) => type)
    .filter((type) => type !== 'model.version_registered');

describe('the watch of a promoted version', () => {
  it('learns its past, then tells a collapse once, with metric and direction, and leaves it serving', async () => {
    const one = await promoted({ rollback: false });
    await past(one, 70, collapsesAfter(65));
    const alarmed = await until(
      async () => await watchOf(one.model),
      ({ phase }) => phase === 'alarmed',
    );
    expect(alarmed).toMatchObject({ alarm: { metric: 'entropy', direction: 'down' }, reference: { responses: 1_200 } });
    await beat(one, 'fail');
    await until(
      async () => await new WatchStore().ofModel(controller.test.database.manager, one.modelId),
      (row) => row?.heartbeatLnR === 20,
    );
    expect(await told(one.model)).toEqual(['model.drifted']);
    expect(await stableOf(one.model)).toBe('v2');
  });

  it('goes back to the version before where the plan says so and the heartbeat fails as well', async () => {
    const one = await promoted({ rollback: true });
    await past(one, 70, collapsesAfter(65));
    await until(
      async () => await watchOf(one.model),
      ({ phase }) => phase === 'alarmed',
    );
    expect(await stableOf(one.model)).toBe('v2');
    await beat(one, 'fail');
    await until(
      async () => await stableOf(one.model),
      (label) => label === 'v1',
    );
    expect(await told(one.model)).toEqual(['model.drifted', 'model.reverted']);
  });

  it('leaves it serving while the heartbeat passes: users changed, not the model', async () => {
    const one = await promoted({ rollback: true });
    await past(one, 70, collapsesAfter(65));
    await until(
      async () => await watchOf(one.model),
      ({ phase }) => phase === 'alarmed',
    );
    await beat(one, 'pass');
    await controller.call('POST', `/api/v1/models/${one.model}/watch/resolve`, { reason: 'new users' });
    expect(await stableOf(one.model)).toBe('v2');
  });

  it('never goes past a person: an alarm that was answered takes nothing back, and is over', async () => {
    const one = await promoted({ rollback: true });
    await past(one, 70, collapsesAfter(65));
    await until(
      async () => await watchOf(one.model),
      ({ phase }) => phase === 'alarmed',
    );
    const answered = await controller.call<{ phase: string }>('POST', `/api/v1/models/${one.model}/watch/resolve`, {
      reason: 'known',
      relearn: true,
    });
    expect([answered.status, answered.body.phase]).toEqual([200, 'learning']);
    await beat(one, 'fail');
    await until(
      async () => await new WatchStore().ofModel(controller.test.database.manager, one.modelId),
      (row) => row?.heartbeatLnR === 20,
    );
    expect(await stableOf(one.model)).toBe('v2');
    expect(await told(one.model)).toEqual(['model.drifted']);
  });

  it('never goes back under a rollout that somebody has begun since', async () => {
    const one = await promoted({ rollback: true });
    await past(one, 70, collapsesAfter(65));
    await until(
      async () => await watchOf(one.model),
      ({ phase }) => phase === 'alarmed',
    );
    const { manager } = controller.test.database;
    await manager.query(
      `insert into rollouts (id, model_id, stable_version_id, candidate_version_id, plan, phase, state, salt, created_by, next_look_at)
       values ($1, $2, $3, $4, $5, 'paused', $6, 'aa', 'test', now() + interval '1 hour')`,
      [
        randomUUID(),
        one.modelId,
        one.v2,
        one.v1,
        JSON.stringify(defaultPlan),
        JSON.stringify({ phase: 'paused', since: 0, reason: { code: 'x' }, from: { phase: 'pending', since: 0 } }),
      ],
    );
    await beat(one, 'fail');
    await new Promise((done) => setTimeout(done, 1_500));
    expect(await stableOf(one.model)).toBe('v2');
  });

  it('says that nothing is watched of a model without a stable version', async () => {
    await controller.call('POST', '/api/v1/models', { name: 'no-stable' });
    expect(await controller.call('GET', '/api/v1/models/no-stable/watch')).toMatchObject({
      status: 404,
      body: { code: 'watch.not-found' },
    });
  });
});
