// A controller that dies, hangs or loses a reply at any named place: the next one finishes what was begun, and nothing is decided twice (P5, P9, P13, P14, P15).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ControllerSettings,
  type Crash,
  type CrashPoint,
  controlStores,
  LookRound,
  noCrash,
  Reconciler,
  RolloutMemory,
} from '#apps/controller';
import { type Clock, systemClock, systemIds } from '#libs/base';
import { RolloutStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { aLiveRollout } from '../../support/live-rollout.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { ShiftedClock } from '../../support/shifted-clock.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const rollouts = new RolloutStore();
const nobody = (): void => undefined;

function aController(crash: Crash = noCrash, clock: Clock = systemClock): LookRound {
  const stores = controlStores();
  const settings = new ControllerSettings({ publicUrl: 'http://controller' } as ConstructorParameters<typeof ControllerSettings>[0]);
  const reconciler = new Reconciler(test.database, stores, settings, crash);
  const log = createLog('test', 'silent');
  return new LookRound(test.database, stores, new RolloutMemory(stores), reconciler, clock, systemIds, log, crash);
}

/** A rollout with an abort that waits to be carried out. */
async function anAbort(): Promise<string> {
  const { id } = await aLiveRollout(test.database);
  const set = await rollouts.setCommand(test.database.manager, id, { kind: 'abort', reason: 'enough', actor: 'ada' });
  expect(set.ok).toBe(true);
  return id;
}

/** What a dead holder's lease comes to after five seconds. */
async function leaseRunsOut(id: string): Promise<void> {
  await test.database.manager.query(`update rollouts set lease_until = clock_timestamp() - interval '1 millisecond' where id = $1`, [id]);
}

async function traces(id: string): Promise<{ phase: string; events: string[]; outbox: number; audit: number }> {
  const { manager } = test.database;
  const record = await rollouts.get(manager, id);
  const events: { transition: string }[] = await manager.query('select transition from rollout_events where rollout_id = $1 order by seq', [
    id,
  ]);
  const counts: { outbox: number; audit: number }[] = await manager.query(
    `select (select count(*)::int from outbox where subject = $1) as outbox, (select count(*)::int from audit where subject = $1) as audit`,
    [`rollout/${id}`],
  );
  return { phase: record?.phase.phase ?? '', events: events.map(({ transition }) => transition), outbox: 0, audit: 0, ...counts[0] };
}

const once = { phase: 'aborted', events: ['abort'], outbox: 1, audit: 1 };
const points: CrashPoint[] = [
  'before-evidence',
  'after-evidence',
  'before-write',
  'after-compare-and-set',
  'before-commit',
  'after-commit',
  'after-hold',
];

describe('P14: a controller that dies', () => {
  it.each(points)('%s leaves a decision whole or not made, and the next makes it once', async (at) => {
    const id = await anAbort();
    const dying = aController((point) => {
      if (point === at) throw new Error(`died ${at}`);
    });
    await dying.run(nobody).catch(nobody);
    await dying.settled();
    const left = await traces(id);
    expect([once, { phase: 'progressing', events: [], outbox: 0, audit: 0 }]).toContainEqual(left);
    // Nobody takes over while the dead one's lease lasts; then it takes one round.
    const next = aController();
    await next.run(nobody);
    await next.settled();
    expect(await traces(id)).toEqual(left);
    await leaseRunsOut(id);
    await next.run(nobody);
    await next.settled();
    expect(await traces(id)).toEqual(once);
  });

  it('or hangs between its look and its write changes nothing when it wakes up after another has decided', async () => {
    const id = await anAbort();
    let wake: () => void = nobody;
    const asleep = new Promise<void>((done) => {
      wake = done;
    });
    const sleeping = aController(async (point) => {
      if (point === 'before-write') await asleep;
    });
    await sleeping.run(nobody);
    await leaseRunsOut(id);
    const other = aController();
    await other.run(nobody);
    await other.settled();
    expect(await traces(id)).toEqual(once);
    wake();
    await sleeping.settled();
    expect(await traces(id)).toEqual(once);
    // P5: nothing leaves a terminal phase, and there is nothing left to look at.
    await leaseRunsOut(id);
    expect((await other.run(nobody)).looked).toBe(0);
  });

  it('is no more than one of many: five at once decide once', async () => {
    const ids = [await anAbort(), await anAbort(), await anAbort()];
    const five = Array.from({ length: 5 }, () => aController());
    await Promise.all(five.map(async (one) => await one.run(nobody)));
    await Promise.all(five.map(async (one) => await one.settled()));
    for (const id of ids) expect(await traces(id)).toEqual(once);
  });
});

it('a commit whose reply was lost is read again by the same controller, and is not repeated', async () => {
  const id = await anAbort();
  let replies = 0;
  const round = aController((point) => {
    if (point !== 'after-commit') return;
    replies += 1;
    throw new Error('the connection was lost');
  });
  await round.run(nobody);
  await round.settled();
  await round.run(nobody);
  await round.settled();
  expect(replies).toBe(1);
  expect(await traces(id)).toEqual(once);
});

it.each([-3_600_000, 3_600_000])('P13: a clock that is off by %i ms loses no lease and decides nothing', async (shiftMs) => {
  const { id } = await aLiveRollout(test.database);
  const clock = new ShiftedClock();
  const round = aController(noCrash, clock);
  await round.run(nobody);
  const before = await rollouts.get(test.database.manager, id);
  clock.shiftMs = shiftMs;
  await test.database.manager.query('update rollouts set next_look_at = clock_timestamp() where id = $1', [id]);
  await round.run(nobody);
  await round.settled();
  const after = await rollouts.get(test.database.manager, id);
  expect(after).toMatchObject({
    phase: before?.phase,
    revision: before?.revision,
    leaseOwner: round.owner,
    leaseEpoch: before?.leaseEpoch,
  });
  expect(Math.abs((after?.nextLookAt ?? 0) - (await rollouts.now(test.database.manager)))).toBeLessThan(60_000);
  await round.release();
  await test.database.manager.query('update rollouts set ended_at = now() where id = $1', [id]);
});
