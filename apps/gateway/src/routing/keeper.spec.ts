import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#libs/base';
import { createLog, QuietLog } from '#libs/telemetry';
import { SnapshotKeeper } from './keeper.js';
import { type Knowledge, loadSnapshot } from './snapshot.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'serin-keeper-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true });
});

const knowledge = (generation: number): Knowledge => ({
  table: { incarnation: 'a', generation, routes: [], versions: {} },
  keys: {},
  gateways: 1,
});
const keeperOf = (file: string): SnapshotKeeper => new SnapshotKeeper(file, new QuietLog(createLog('test', 'silent'), systemClock));

describe('the keeper of snapshots', () => {
  it('has the last of many on disk, however fast they come and in however many turns', async () => {
    const file = join(dir, 'many.json');
    const keeper = keeperOf(file);
    for (let generation = 1; generation <= 300; generation += 1) {
      keeper.keep(knowledge(generation));
      if (generation % 100 === 0) await keeper.close();
      if (generation % 7 === 0) await Promise.resolve();
    }
    await keeper.close();
    expect(await loadSnapshot(file)).toMatchObject({ ok: true, value: { table: { generation: 300 } } });
  });

  it('leaves a file alone that holds the same already', async () => {
    const file = join(dir, 'same.json');
    const keeper = keeperOf(file);
    keeper.keep(knowledge(1));
    await keeper.close();
    const { ino } = await stat(file);
    keeper.keep(knowledge(1));
    await keeper.close();
    expect((await stat(file)).ino).toBe(ino);
  });

  it('goes on after a failure, and writes when it can again', async () => {
    const folder = join(dir, 'blocked');
    await writeFile(folder, '');
    const keeper = keeperOf(join(folder, 'snapshot.json'));
    keeper.keep(knowledge(1));
    await keeper.close();
    await rm(folder);
    keeper.keep(knowledge(1));
    await keeper.close();
    expect(await loadSnapshot(join(folder, 'snapshot.json'))).toMatchObject({ ok: true, value: { table: { generation: 1 } } });
  });
});
