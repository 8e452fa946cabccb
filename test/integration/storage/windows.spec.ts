// Partitions of windows under what goes wrong: rows that come before their day, and several controllers at once.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Window, WindowBook } from '#libs/analysis';
import { WindowStore } from '#libs/storage';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const store = new WindowStore();
const noon = Date.UTC(2026, 0, 10, 12);

function oneWindow(rolloutId: string, assignedAt: number): Window[] {
  const book = new WindowBook();
  book.add({
    model: 'm',
    versionId: randomUUID(),
    rolloutId,
    epoch: 0,
    arm: 'stable',
    promptClass: 'plain',
    unit: 'u',
    assignedAt,
    outcome: 'ok',
    finishReason: 'stop',
    queueWaitMs: null,
    ttftMs: null,
    interTokenMs: null,
    totalMs: 20,
    inputTokens: 1,
    outputTokens: 1,
    entropyMeanNats: null,
    entropyMaxNats: null,
    nllMeanNats: null,
    refused: false,
    looped: false,
    countedUnfinished: false,
    costMicros: null,
  });
  return book.drain();
}

const homes = async (): Promise<string[]> => {
  const rows: { name: string }[] = await test.database.manager.query(
    'select tableoid::regclass::text as name from windows order by second_at',
  );
  return rows.map((row) => row.name);
};

it('rows that came before their day had a partition are moved into it, and a repeated flush still counts once', async () => {
  const rolloutId = randomUUID();
  const bootId = randomUUID();
  const early = oneWindow(rolloutId, noon);
  await store.insert(test.database.manager, bootId, 1, early);
  expect(await homes()).toEqual(['windows_default']);
  await Promise.all([1, 2, 3].map(async () => await test.database.transaction(async (tx) => await store.ensurePartitions(tx, noon, 2))));
  expect(await homes()).toEqual(['windows_20260110']);
  await store.insert(test.database.manager, bootId, 1, early);
  expect(await store.ofRollout(test.database.manager, rolloutId)).toEqual(early);
});

it('old rows leave the default partition too', async () => {
  const rolloutId = randomUUID();
  await store.insert(test.database.manager, randomUUID(), 1, oneWindow(rolloutId, Date.UTC(2025, 5, 1)));
  await store.dropBefore(test.database.manager, Date.UTC(2026, 0, 1));
  expect(await store.ofRollout(test.database.manager, rolloutId)).toEqual([]);
  expect(await homes()).toEqual(['windows_20260110']);
});
