// Scores of live answers in a whole gateway: a judge that is a real model, real answers of both arms, and windows of quality in Postgres.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { countOf } from '#libs/analysis';
import type { QualityScoring } from '#libs/rollout';
import { WindowStore } from '#libs/storage';
import { post } from '../../support/client.js';
import { demoQuestions } from '../../support/engine.js';
import { aGateway, aKey, aVersion, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const native = (file: string, parallel: number) => ({
  engine: { kind: 'llama', file: `demo-support-${file}.gguf`, contextSize: 1_024, gpuLayers: 0, parallel, threads: 1 },
  sampling: { temperature: 0, maxTokens: 48 },
});
const [v1, v2] = [aVersion('v1', native('v1-stable', 2)), aVersion('v2', native('v2-improved', 2))];
const judge = aVersion('j1', native('v2-improved', 4), 'judge');
const n = 8;

beforeAll(async () => {
  test = await createTestDatabase();
  gateway = await aGateway(test.url);
  at = { url: gateway.url, key: await aKey(test) };
}, 60_000);
afterAll(async () => {
  await gateway?.remove();
  await test?.drop();
});

async function rollOut(quality: QualityScoring): Promise<string> {
  const rolloutId = randomUUID();
  const rollout = { id: rolloutId, candidate: v2.id, weight: 0.5, epoch: 3, salt: '0f'.repeat(16), quality };
  const routes = [
    { model: 'support', stable: v1.id, rollout },
    { model: 'judge', stable: judge.id, rollout: null },
  ];
  await untilServing(gateway.url, await publish(test, { routes, versions: [v1, v2, judge] }));
  return rolloutId;
}

const ask = async (content: string, stream = false) =>
  await post(at, '/v1/chat/completions', { model: 'support', messages: [{ role: 'user', content }], stream });

it('counts the grade of every drawn answer under the arm, class and second of the answer, whatever the judge is able to', async () => {
  const asked = { sampleStable: 1, sampleCandidate: 1, judge: { model: 'judge', concurrentRequests: 8, tokensPerSecond: 1_000_000 } };
  const rolloutId = await rollOut(asked);
  const figures = async () => {
    const answer = await fetch(`${gateway.url}/readyz?verbose`);
    const { checks } = (await answer.json()) as { checks: { quality: { drawn: number; running: number; ended: Record<string, number> } } };
    return checks.quality;
  };
  for (const [index, question] of demoQuestions().slice(0, n).entries()) {
    expect((await ask(question, index % 2 === 0)).status).toBe(200);
    await until(async () => (await figures()).drawn === index + 1 && (await figures()).running === 0, 'the judgement', 30_000);
  }
  // The form is enforced: a model of two million parameters that has never heard of grades gives one all the same.
  expect(await figures()).toMatchObject({ drawn: n, ended: { scored: n } });
  const windows = async () => await new WindowStore().ofRollout(test.database.manager, rolloutId);
  await until(async () => (await windows()).reduce((sum, { counts }) => sum + countOf(counts.histograms.quality), 0) === n, 'all scores');
  const found = await windows();
  const seconds = new Map<string, [responses: number, scores: number]>();
  for (const { key, counts } of found) {
    const name = `${key.arm} ${key.epoch} ${key.promptClass} ${key.secondAt} ${key.versionId}`;
    const [responses, scores] = seconds.get(name) ?? [0, 0];
    seconds.set(name, [responses + counts.responses, scores + countOf(counts.histograms.quality)]);
  }
  for (const [responses, scores] of seconds.values()) expect(scores).toBe(responses);
  expect(new Set(found.map(({ key }) => key.arm)).size).toBe(2);
}, 90_000);
