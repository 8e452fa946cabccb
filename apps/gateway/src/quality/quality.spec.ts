// Scores by a judge without HTTP: who is asked, what becomes of each answer that was drawn, and that it never costs users anything.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerKey, Observation } from '#libs/analysis';
import { systemClock, systemRng } from '#libs/base';
import type { FakeBehaviour } from '#libs/engine';
import { scanBody } from '#libs/openai';
import type { QualityScoring, Route, RoutingTable } from '#libs/rollout';
import { createLog } from '#libs/telemetry';
import { BusyEngine } from '../../../../test/support/ended-request.js';
import { aVersion, fakeFactory, until } from '../../../../test/support/gateway.js';
import { anObservation } from '../../../../test/support/observation.js';
import { chatEndpoint } from '../completions/chat-endpoint.js';
import { Deadlines } from '../completions/deadlines.js';
import { EnginePool } from '../engines/pool.js';
import { KeptAnswers } from '../kept-answers/kept-answers.js';
import { RunningMirrors } from '../shadow/running-mirrors.js';
import { isScored } from './coin.js';
import { Quality } from './quality.js';
import { RecentAnswers } from './recent-answers.js';

const [v1, v2, j1] = [aVersion('v1'), aVersion('v2'), aVersion('j1', undefined, 'judge')];
const clock = systemClock;
const log = createLog('spec', 'silent');
const judge = { model: 'judge', concurrentRequests: 8, tokensPerSecond: 1_000_000 };
const all: QualityScoring = { sampleStable: 1, sampleCandidate: 1, judge };

const routeOf = (quality: QualityScoring): Route => ({
  model: 'support',
  stable: v1.id,
  rollout: { id: 'r1', candidate: v2.id, weight: 0.5, epoch: 4, salt: 'ab', quality },
});
const tableOf = (quality: QualityScoring): RoutingTable => ({
  incarnation: 'i',
  generation: 1,
  routes: [routeOf(quality), { model: 'judge', stable: j1.id, rollout: null }],
  versions: Object.fromEntries([v1, v2, j1].map((version) => [version.id, version])),
});

let engine: BusyEngine;
let pool: EnginePool;
let running: RunningMirrors;
let quality: Quality;
let recent: RecentAnswers;
let scores: [AnswerKey, number][];
const keptAnswers = new KeptAnswers();

async function judgedBy(behaviour: FakeBehaviour, scoring: QualityScoring = all): Promise<void> {
  engine = new BusyEngine(behaviour);
  pool = new EnginePool({ factory: fakeFactory({ j1: engine }), clock, log, onChange: () => undefined });
  pool.follow(tableOf(scoring));
  await until(() => pool.serves(j1.id), 'the judge');
  running = new RunningMirrors(pool, clock);
  recent = new RecentAnswers(clock);
  const feed = { current: { table: tableOf(scoring), keys: {}, gateways: 1, heard: true } };
  const recorder = { score: (key: AnswerKey, score: number) => scores.push([key, score]) };
  const deadlines = new Deadlines(clock);
  quality = new Quality({ feed, pool, deadlines, keptAnswers, running, recorder, recent, clock, rng: systemRng, log } as never);
}
beforeEach(() => {
  scores = [];
});
afterEach(async () => {
  running.cancel('stopping');
  await until(() => quality.figures().running === 0, 'calls to end');
  expect(keptAnswers.size).toBe(0);
  await pool.close();
});

let asked = 0;
/** One request from its start to the end of its judgement. */
async function answered(text: string, more: Partial<Observation> = {}, scoring = all): Promise<void> {
  asked += 1;
  const requestId = `request-${asked}`;
  const body = scanBody(Buffer.from(JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Capital of France?' }] })));
  if (!body.ok) throw new Error('the spec asks for nonsense');
  const read = chatEndpoint.read(body.value);
  if (!read.ok) throw new Error('the spec asks for nonsense');
  const assignment = { versionId: v2.id, arm: 'candidate', rolloutId: 'r1', epoch: 4 };
  const admitted = { route: routeOf(scoring), asked: read.value, body: body.value, tenant: 'k', assignment, pinned: false };
  const kept = quality.listen({ ...admitted, wishes: { priority: 'live' } } as never, requestId);
  kept?.begin('whole');
  kept?.take(Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content: text } }] })));
  const { drawn } = quality.figures();
  const observation = anObservation({ rolloutId: 'r1', epoch: 4, arm: 'candidate', promptClass: 'chat', ...more });
  quality.offer({ requestId, admitted, observation, kept });
  if (!kept || observation.outcome !== 'ok') return;
  await until(() => quality.figures().drawn > drawn, 'the turn of the judgement');
}
const allEnded = async (): Promise<void> => await until(() => quality.figures().running === 0, 'judgements to end');

describe('an answer that was drawn', () => {
  it('is shown to the judge behind all others, and its grade is counted where the answer was', async () => {
    await judgedBy({ tokens: () => ['{"score"', ': 7}'] });
    await answered('Paris.');
    await allEnded();
    expect(scores).toMatchObject([[{ rolloutId: 'r1', epoch: 4, arm: 'candidate', promptClass: 'chat' }, 0.7]]);
    expect(engine.seen).toMatchObject([{ ticket: { priority: 'shadow', tenant: 'judge r1' }, sampling: { temperature: 0 } }]);
    expect(JSON.stringify(engine.seen)).toContain('Capital of France?');
    expect(JSON.stringify(engine.seen)).toContain('Paris.');
    expect(quality.figures()).toMatchObject({ drawn: 1, ended: { scored: 1 } });
  });

  it.each<[string, FakeBehaviour]>([
    ['unreadable', { tokens: () => ['Well', ', a 10 I would say'] }],
    ['unreadable', { tokens: () => Array(500).fill('9') }],
    ['failed', { failWith: () => ({ code: 'engine.crashed', message: '', retryable: true }) }],
    ['failed', { dieAfterTokens: 1 }],
  ])('has no score when the judge has none: %s', async (outcome, behaviour) => {
    await judgedBy(behaviour);
    await answered('Paris.');
    await allEnded();
    expect(scores).toEqual([]);
    expect(quality.figures()).toMatchObject({ ended: { [outcome]: 1 } });
  });

  it('is left when users wait at the judge, and a judgement that runs ends then', async () => {
    await judgedBy({ firstTokenMs: 60_000 });
    await answered('Paris.');
    await until(() => engine.seen.length === 1, 'the question');
    engine.queuedLive = 1;
    running.live(j1.id, 1);
    await allEnded();
    await answered('Paris.');
    expect(quality.figures()).toMatchObject({ ended: { cancelled: 1 }, skipped: { live: 1 } });
  });

  it('is left beyond what may run and be spent, where it is too long, and where nobody can judge', async () => {
    await judgedBy({ firstTokenMs: 60_000 }, { ...all, judge: { ...judge, concurrentRequests: 1 } });
    for (const text of ['a', 'b', 'x'.repeat(20_000)]) await answered(text, {}, { ...all, judge: { ...judge, concurrentRequests: 1 } });
    engine.become('failed');
    await answered('c');
    expect(quality.figures()).toMatchObject({ running: 1, skipped: { concurrency: 1, size: 1, notServed: 1 } });
  });

  it('is forgotten when it failed after all', async () => {
    await judgedBy({});
    await answered('Paris.', { outcome: 'error' });
    expect(quality.figures().drawn).toBe(0);
    expect(recent.size).toBe(0);
  });
});

describe('the coin of scores', () => {
  const shares: QualityScoring = { sampleStable: 0.05, sampleCandidate: 0.4, judge };
  const { rollout } = routeOf(shares);
  const n = 20_000;
  const ids = Array.from({ length: n }, (_, index) => `request-${index}`);

  it('falls with the share of the arm, for a control as for stable, within four standard deviations', () => {
    if (!rollout) throw new Error('there is a rollout');
    for (const [arm, share] of [
      ['stable', 0.05],
      ['control', 0.05],
      ['candidate', 0.4],
    ] as const) {
      const drawn = ids.filter((id) => isScored(rollout, arm, id)).length;
      expect(Math.abs(drawn - n * share)).toBeLessThan(4 * Math.sqrt(n * share * (1 - share)));
    }
  });

  it('falls for nobody without a judge', () => {
    const { judge: _, ...unjudged } = shares;
    expect(ids.some((id) => isScored({ ...routeOf(unjudged).rollout } as never, 'candidate', id))).toBe(false);
  });
});
