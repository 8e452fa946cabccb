// Stable's live answers read again by both versions: real engines and models, from a user's request to windows of pairs in Postgres.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MirrorReport } from '#apps/gateway';
import { lnRepresentative } from '#libs/analysis';
import { PairedWindowStore } from '#libs/storage';
import { post } from '../../support/client.js';
import { demoQuestions } from '../../support/engine.js';
import { aGateway, aKey, aVersion, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const reports: MirrorReport[] = [];
const prompts = demoQuestions().slice(0, 12);
const native = (file: string) => ({
  engine: { kind: 'llama', file: `demo-support-${file}.gguf`, contextSize: 512, gpuLayers: 0, parallel: 2, threads: 1 },
  sampling: { temperature: 0.7, maxTokens: 96 },
});
const stable = aVersion('v1', native('v1-stable'));
const candidates = { same: aVersion('same', native('v1-stable')), rounded: aVersion('rounded', native('v4-rounded')) };

beforeAll(async () => {
  test = await createTestDatabase();
  gateway = await aGateway(test.url, { onMirrored: (report) => reports.push(report) });
  at = { url: gateway.url, key: await aKey(test) };
}, 60_000);
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

/** ln of the mean ratio in a rollout's windows, and how many prompts there are. */
async function mirrored(
  candidate: ReturnType<typeof aVersion>,
): Promise<{ rolloutId: string; pairs: number; forced: number; lnRatio: number }> {
  const rolloutId = randomUUID();
  const shadow = { share: 1, concurrentRequests: 2, tokensPerSecond: 100_000, scoring: true };
  const rollout = { id: rolloutId, candidate: candidate.id, weight: 0, epoch: 1, salt: '0f'.repeat(16), shadow };
  const routes = [{ model: 'support', stable: stable.id, rollout }];
  await untilServing(gateway.url, await publish(test, { routes, versions: [stable, candidate] }));
  reports.length = 0;
  for (const [n, content] of prompts.entries()) {
    const body = { model: 'support', messages: [{ role: 'user', content }], stream: n % 2 === 0 };
    expect((await post(at, '/v1/chat/completions', body)).status).toBe(200);
    await until(() => reports.length === n + 1, 'the mirror of a prompt', 20_000);
  }
  const store = new PairedWindowStore();
  const read = async () => await store.ofRollout(test.database.manager, rolloutId);
  await until(async () => (await read()).reduce((sum, { counts }) => sum + counts.pairs, 0) === prompts.length, 'windows of all pairs');
  const windows = await read();
  const entropy = windows.flatMap(({ counts }) => [...counts.ratios.forcedEntropy]);
  const forced = windows.reduce((sum, { counts }) => sum + counts.forced, 0);
  const total = entropy.reduce((sum, [bucket, count]) => sum + count * lnRepresentative(bucket), 0);
  return { rolloutId, pairs: prompts.length, forced, lnRatio: total / forced };
}

it('finds the same weights the same to the last bucket, whatever temperature the answers were drawn at', async () => {
  const { forced, lnRatio } = await mirrored(candidates.same);
  expect(forced).toBe(prompts.length);
  expect(Math.abs(lnRatio)).toBeLessThan(0.011);
  for (const { forced: figures } of reports) expect(figures?.candidate.nllMeanNats).toBeCloseTo(figures?.stable.nllMeanNats ?? 0, 4);
}, 60_000);

it('finds ruined weights within a dozen prompts, without a user having met them', async () => {
  const { forced, lnRatio } = await mirrored(candidates.rounded);
  expect(forced).toBe(prompts.length);
  expect(Math.exp(lnRatio)).toBeGreaterThan(2);
}, 60_000);
