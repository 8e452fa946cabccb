// A database that lost its last decisions does not give a candidate its users back.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ControllerSettings, FailoverWatch } from '#apps/controller';
import { systemClock } from '#libs/base';
import { RolloutStore, RoutingStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { aLiveRollout } from '../../support/live-rollout.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

it('after a fail-over candidates have no traffic under a new incarnation, once, and new epochs meet no old windows', async () => {
  const { manager } = test.database;
  const settings = new ControllerSettings({ publicUrl: 'http://controller' } as ConstructorParameters<typeof ControllerSettings>[0]);
  const watch = (): FailoverWatch => new FailoverWatch(test.database, settings, systemClock, createLog('test', 'silent'));
  const { id, model } = await aLiveRollout(test.database);
  const routing = new RoutingStore();
  await routing.rebuild(manager);
  const before = await routing.read(manager);
  // The first look only learns where it is.
  expect(await watch().check()).toEqual([]);
  expect((await routing.read(manager))?.incarnation).toBe(before?.incarnation);
  // As in a copy that was taken on another line of history.
  await manager.query(`update routing_table set lineage = 'elsewhere/00000001'`);
  const both = await Promise.all([watch().check(), watch().check()]);
  expect(both.flat()).toEqual([id]);
  const table = await routing.read(manager);
  expect(table?.incarnation).not.toBe(before?.incarnation);
  expect(table?.routes.find((route) => route.model === model)?.rollout).toMatchObject({ weight: 0, epoch: 1_001 });
  expect(await new RolloutStore().get(manager, id)).toMatchObject({
    weight: 0,
    phase: { phase: 'paused', reason: { code: 'database.failed-over' }, from: { phase: 'pending' } },
  });
  const events: { transition: string }[] = await manager.query('select transition from rollout_events where rollout_id = $1', [id]);
  expect(events).toEqual([{ transition: 'pause' }]);
  const pages: { type: string }[] = await manager.query('select type from outbox where subject = $1', [`rollout/${id}`]);
  expect(pages).toEqual([{ type: 'rollout.paused' }]);
  expect(await watch().check()).toEqual([]);
});
