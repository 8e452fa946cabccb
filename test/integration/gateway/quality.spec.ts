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

it('counts the grade of a drawn answer under the arm, class and second of the answer, whatever the judge is able to', async () => {
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
  const { drawn, ended } = await figures();
  expect(drawn).toBe(n);
  // One may be given up for load, or blanks may fill the reply of so small a model: what is scored is counted, and nothing else.
  const scored = ended['scored'] ?? 0;
  expect(scored).toBeGreaterThan(0);
  const windows = async () => await new WindowStore().ofRollout(test.database.manager, rolloutId);
  await until(
    async () => (await windows()).reduce((sum, { counts }) => sum + countOf(counts.histograms.quality), 0) === scored,
    'all scores',
  );
  const found = await windows();
  const seconds = new Map<string, [responses: number, scores: number]>();
  for (const { key, counts } of found) {
    const name = `${key.arm} ${key.epoch} ${key.promptClass} ${key.secondAt} ${key.versionId}`;
    const [responses, scores] = seconds.get(name) ?? [0, 0];
    seconds.set(name, [responses + counts.responses, scores + countOf(counts.histograms.quality)]);
  }
  for (const [responses, scores] of seconds.values()) expect(scores).toBeLessThanOrEqual(responses);
  expect(new Set(found.map(({ key }) => key.arm)).size).toBe(2);
}, 90_000);

it('takes a score from whoever asked, once, and judges by it only where the plan says so', async () => {
  const stranger = { ...at, key: await aKey(test, ['inference:invoke']) };
  await until(async () => (await post(stranger, '/v1/feedback', {})).status !== 401, 'the new key');
  const rolloutId = await rollOut({ sampleStable: 1, sampleCandidate: 1, feedback: 'judged' });
  const id = (await ask(demoQuestions()[0] ?? '')).headers.get('x-request-id');
  const rate = async (request_id: unknown, score: unknown, who = at) => (await post(who, '/v1/feedback', { request_id, score })).status;
  expect(await rate(id, 0.8, stranger)).toBe(404);
  expect(await rate(id, 1.1)).toBe(400);
  expect(await rate(id, 0.8)).toBe(200);
  expect(await rate(id, 0.1)).toBe(409);
  expect(await rate('nobody-knows', 1)).toBe(404);
  const scores = async (of: string) =>
    (await new WindowStore().ofRollout(test.database.manager, of)).flatMap(({ counts }) => [...counts.histograms.quality]);
  await until(async () => (await scores(rolloutId)).length > 0, 'the score');
  expect(await scores(rolloutId)).toEqual([[80, 1]]);
  const shown = await rollOut({ sampleStable: 1, sampleCandidate: 1 });
  expect(await rate((await ask(demoQuestions()[1] ?? '')).headers.get('x-request-id'), 1)).toBe(200);
  const answer = (await (await fetch(`${gateway.url}/readyz?verbose`)).json()) as {
    checks: { feedback: Record<string, { count: number }> };
  };
  expect(Object.entries(answer.checks.feedback).filter(([name]) => name.startsWith(shown))).toMatchObject([
    [expect.any(String), { count: 1 }],
  ]);
}, 60_000);
