// Windows of mirrored prompts in Postgres: what a gateway wrote is what the judgement reads, a repeated batch counts once, and old ones go.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PairedBook, type PairedWindow } from '#libs/analysis';
import { PairedWindowStore } from '#libs/storage';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(async () => await test.drop());

const store = new PairedWindowStore();

function windowsOf(rolloutId: string, assignedAt: number): PairedWindow[] {
  const book = new PairedBook();
  for (const promptClass of ['chat', 'code'])
    book.add({
      rolloutId,
      promptClass,
      assignedAt,
      outcome: 'pair',
      entropy: { stable: 0.5, candidate: 0.6 },
      length: { stable: 20, candidate: 10 },
      loopedStable: false,
      loopedCandidate: true,
      forced: { nll: { stable: 1, candidate: 1.1 }, entropy: { stable: 0.5, candidate: 0.45 } },
    });
  return book.drain();
}

it('gives a rollout its windows as they were written, however often a batch was sent', async () => {
  const { manager } = test.database;
  const [rolloutId, bootId] = [randomUUID(), randomUUID()];
  const windows = windowsOf(rolloutId, Date.UTC(2026, 0, 10, 12));
  await Promise.all([1, 2, 3].map(async () => await store.insert(manager, bootId, 1, windows)));
  await store.insert(manager, bootId, 2, windowsOf(randomUUID(), 0));
  const found = await store.ofRollout(manager, rolloutId);
  expect(found.sort((a, b) => a.promptClass.localeCompare(b.promptClass))).toEqual(windows);
});

it('forgets what is older than asked, in batches', async () => {
  const { manager } = test.database;
  const [old, young] = [randomUUID(), randomUUID()];
  await store.insert(manager, randomUUID(), 1, [...windowsOf(old, 10_000), ...windowsOf(young, 20_000)]);
  while ((await store.dropBefore(manager, 20_000, 1)) > 0);
  expect(await store.ofRollout(manager, old)).toEqual([]);
  expect(await store.ofRollout(manager, young)).toHaveLength(2);
});
