// What a controller remembers is what the database holds: every look judges exactly as a full reading would, whatever commits late.
import { randomUUID } from 'node:crypto';
import type { EntityManager, QueryRunner } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { controlStores, judgeOptions, type Remembered, RolloutMemory } from '#apps/controller';
import { judge } from '#libs/analysis';
import { type DueRollout, LeaseStore, WindowStore } from '#libs/storage';
import { aLiveRollout, anArmWindow, type LiveRollout } from '../../support/live-rollout.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { uniforms } from '../../support/random.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const store = new WindowStore();
const leases = new LeaseStore();

async function claimed(owner: string): Promise<DueRollout[]> {
  await leases.claim(test.database.manager, { owner, leaseMs: 60_000, limit: 100 });
  return await leases.due(test.database.manager, owner);
}

/** The judgement from memory, and the one from all windows that are visible now: nothing else is written meanwhile. */
async function bothWays(memory: RolloutMemory, due: readonly DueRollout[]): Promise<{ fromMemory: unknown[]; fromAll: unknown[] }> {
  const { around, rollouts, failures } = await memory.refresh(test.database.manager, due);
  expect(failures).toEqual([]);
  expect(rollouts).toHaveLength(due.length);
  const options = (one: Remembered) => ({ ...judgeOptions(one.record, one.epochs, around.at), interval: true });
  const fromAll: unknown[] = [];
  for (const one of rollouts) {
    const windows = await store.ofRollout(test.database.manager, one.record.id);
    fromAll.push(judge({ ...options(one), windows }));
  }
  return { fromMemory: rollouts.map((one) => one.ledger.judge(options(one))), fromAll };
}

it('windows count exactly once, though transactions overlap, commit out of order, roll back or repeat', async () => {
  const random = uniforms(11);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const rollouts: LiveRollout[] = [];
  for (let one = 0; one < 3; one += 1) rollouts.push(await aLiveRollout(test.database));
  const owner = randomUUID();
  const memory = new RolloutMemory(controlStores());
  const due = await claimed(owner);
  const open: QueryRunner[] = [];
  const at = Date.now();
  const boots = [randomUUID(), randomUUID()];
  let seq = 0;
  let newestCandidates = 0;
  const flush = async (tx: EntityManager): Promise<void> => {
    seq += 1;
    const second = Math.floor(at / 1000) * 1000 + Math.floor(random() * 120) * 1000;
    const windows = (['stable', 'candidate'] as const).map((arm) =>
      anArmWindow(pick(rollouts), arm, second, 1 + Math.floor(random() * 4), 1.2),
    );
    await store.insert(tx, pick(boots), seq, windows);
  };
  for (let round = 0; round < 60; round += 1) {
    const what = random();
    if (what < 0.4) await flush(test.database.manager);
    else if (what < 0.7 && open.length < 3) {
      const runner = test.database.dataSource.createQueryRunner();
      await runner.startTransaction();
      await flush(runner.manager);
      open.push(runner);
    } else {
      const [runner] = open.splice(Math.floor(random() * open.length), 1);
      if (runner) {
        if (random() < 0.2) await runner.rollbackTransaction();
        else await runner.commitTransaction();
        await runner.release();
      }
    }
    const { fromMemory, fromAll } = await bothWays(memory, due);
    expect(fromMemory).toEqual(fromAll);
    newestCandidates = (fromAll as { counts: { candidate: number } }[]).reduce((sum, { counts }) => sum + counts.candidate, 0);
  }
  for (const runner of open) {
    await runner.commitTransaction();
    await runner.release();
  }
  // A repeated flush writes nothing, and whoever takes over sees the same.
  await store.insert(test.database.manager, boots[0] ?? '', 1, [anArmWindow(rollouts[0] as LiveRollout, 'candidate', at, 1, 1)]);
  const { fromMemory, fromAll } = await bothWays(memory, due);
  expect(fromMemory).toEqual(fromAll);
  expect(newestCandidates).toBeGreaterThan(20);
  const other = await bothWays(new RolloutMemory(controlStores()), due);
  expect(other.fromMemory).toEqual(fromAll);
});

it('one corrupt row keeps its own rollout from being looked at, no other', async () => {
  const [sound, broken] = [await aLiveRollout(test.database), await aLiveRollout(test.database)];
  const owner = randomUUID();
  const due = (await claimed(owner)).filter(({ id }) => id === sound.id || id === broken.id);
  const memory = new RolloutMemory(controlStores());
  await memory.refresh(test.database.manager, due);
  for (const [index, rollout] of [sound, broken].entries())
    await store.insert(test.database.manager, randomUUID(), index, [anArmWindow(rollout, 'candidate', Date.now(), 3, 1)]);
  await test.database.manager.query(`update windows set histograms = '\\x09' where rollout_id = $1`, [broken.id]);
  const { rollouts, failures } = await memory.refresh(test.database.manager, due);
  expect(rollouts.map(({ record }) => record.id)).toEqual([sound.id]);
  expect(rollouts[0]?.ledger.sum(1, 'candidate', 'responses')).toBe(3);
  expect(failures.map(({ id }) => id)).toEqual([broken.id]);
});

it('a lease that somebody else took is not prolonged, and a lost revision neither', async () => {
  await aLiveRollout(test.database);
  const [mine, theirs] = [randomUUID(), randomUUID()];
  const [due] = await claimed(mine);
  if (!due) throw new Error('nothing is due');
  const nextLookAt = Date.now() + 1_000;
  const hold = async (look: DueRollout) => await leases.hold(test.database.manager, [{ ...look, nextLookAt }], 5_000);
  expect(await hold({ ...due, revision: due.revision + 1 })).toEqual([]);
  expect(await hold(due)).toEqual([due.id]);
  await test.database.manager.query(`update rollouts set lease_until = now() - interval '1 second', next_look_at = now() where id = $1`, [
    due.id,
  ]);
  const taken = await leases.claim(test.database.manager, { owner: theirs, leaseMs: 5_000, limit: 100 });
  expect(taken.map(({ id }) => id)).toEqual([due.id]);
  expect(await hold(due)).toEqual([]);
  expect((await leases.due(test.database.manager, mine)).some(({ id }) => id === due.id)).toBe(false);
  await leases.releaseAll(test.database.manager, theirs);
  expect((await leases.claim(test.database.manager, { owner: mine, leaseMs: 5_000, limit: 100 })).map(({ id }) => id)).toEqual([due.id]);
});
