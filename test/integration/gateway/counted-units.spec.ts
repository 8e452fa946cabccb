// One bet per named unit over all gateways of a database: two gateways' recorders on a real Postgres.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '#libs/base';
import { CountedUnitStore, type Database, WindowStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { Recorder } from '../../../apps/gateway/src/observe/recorder.js';
import { aLiveRollout } from '../../support/live-rollout.js';
import { anObservation } from '../../support/observation.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const versionId = randomUUID();
const recorderOn = (database: () => Database): Recorder =>
  new Recorder({ link: { use: async () => await Promise.resolve(database()) }, clock: systemClock, log: createLog('recorder', 'silent') });

const gateway = (): Recorder => recorderOn(() => test.database);

const answerOf = (rolloutId: string, place: number | undefined) => anObservation({ versionId, rolloutId, place, unit: `u${place}` });

/** What a rollout's windows hold in its arms. */
async function counted(rolloutId: string): Promise<{ responses: number; unfinished: number; finished: number; quality: number }> {
  const sum = { responses: 0, unfinished: 0, finished: 0, quality: 0 };
  for (const { counts } of await new WindowStore().ofRollout(test.database.manager, rolloutId)) {
    sum.responses += counts.responses;
    sum.unfinished += counts.unfinished;
    for (const n of counts.histograms.length.values()) sum.finished += n;
    for (const n of counts.histograms.quality.values()) sum.quality += n;
  }
  return sum;
}

async function inNoArm(): Promise<number> {
  const [row] = await test.database.manager.query<{ n: number }[]>(
    'select coalesce(sum(responses), 0)::int as n from windows where version_id = $1 and arm is null and rollout_id is null and epoch is null',
    [versionId],
  );
  return row?.n ?? 0;
}

it('a unit whose requests reach two gateways is compared once, and counted for its version by the other', async () => {
  const rolloutId = randomUUID();
  const before = await inNoArm();
  const [a, b] = [gateway(), gateway()];
  for (let place = 0; place < 200; place += 1) {
    a.add(answerOf(rolloutId, place));
    b.add(answerOf(rolloutId, 299 - place));
  }
  await Promise.all([a.close(), b.close()]);
  expect([a.droppedWindows, b.droppedWindows]).toEqual([0, 0]);
  expect(await counted(rolloutId)).toMatchObject({ responses: 300, finished: 300 });
  expect((await inNoArm()) - before).toBe(100);
});

it('a unit is known after a restart, and another rollout counts it anew', async () => {
  const [first, second] = [randomUUID(), randomUUID()];
  for (const rolloutId of [first, first, second]) {
    const process = gateway();
    process.add(answerOf(rolloutId, 7));
    await process.close();
  }
  expect(await counted(first)).toMatchObject({ responses: 1 });
  expect(await counted(second)).toMatchObject({ responses: 1 });
});

it('answers of units that nobody named claim nothing', async () => {
  const rolloutId = randomUUID();
  const process = gateway();
  for (let i = 0; i < 3; i += 1) process.add(answerOf(rolloutId, undefined));
  await process.close();
  expect(await counted(rolloutId)).toMatchObject({ responses: 3 });
  expect(await test.database.manager.query('select 1 from counted_units where rollout_id = $1', [rolloutId])).toEqual([]);
});

it('an answer that was counted as unfinished keeps its arm when it ends and when it is scored', async () => {
  const rolloutId = randomUUID();
  const [a, b] = [gateway(), gateway()];
  const answer = answerOf(rolloutId, 9);
  a.unfinished(answer);
  await a.close();
  b.add(answer);
  await b.close();
  a.add({ ...answer, countedUnfinished: true });
  a.score(answer, 0.5);
  await a.close();
  expect(await counted(rolloutId)).toEqual({ responses: 1, unfinished: 1, finished: 1, quality: 1 });
});

it('a batch whose confirmation was lost changes nothing when it is sent again', async () => {
  const rolloutId = randomUUID();
  const before = await inNoArm();
  let lost = 0;
  const { database } = test;
  const unlucky = new Proxy(database, {
    get: (of, name) =>
      name === 'transaction' && lost++ === 0
        ? async (work: Parameters<Database['transaction']>[0]) => {
            await of.transaction(work);
            throw new Error('the connection broke after the commit');
          }
        : Reflect.get(of, name),
  });
  const other = gateway();
  other.add(answerOf(rolloutId, 1));
  await other.close();
  const process = recorderOn(() => unlucky);
  for (const place of [1, 2, 3]) process.add(answerOf(rolloutId, place));
  await process.close();
  await process.close();
  expect(lost).toBe(2);
  expect(await counted(rolloutId)).toMatchObject({ responses: 3 });
  expect((await inNoArm()) - before).toBe(1);
});

it('claims of a rollout go when it has ended long enough ago, in batches', async () => {
  const { manager } = test.database;
  const units = new CountedUnitStore();
  const [ended, live] = [await aLiveRollout(test.database), await aLiveRollout(test.database)];
  for (const { id } of [ended, live])
    await units.claim(manager, randomUUID(), 1, [
      { rolloutId: id, place: 1 },
      { rolloutId: id, place: 2 },
    ]);
  await manager.query(`update rollouts set ended_at = now() - interval '1 hour' where id = $1`, [ended.id]);
  expect(await units.prune(manager, 7_200_000)).toBe(0);
  expect([
    await units.prune(manager, 1_800_000, 1),
    await units.prune(manager, 1_800_000, 1),
    await units.prune(manager, 1_800_000, 1),
  ]).toEqual([1, 1, 0]);
  expect(await manager.query('select place from counted_units where rollout_id = $1 order by place', [live.id])).toEqual([
    { place: 1 },
    { place: 2 },
  ]);
});
