// Mirrors of a gateway without HTTP: what is taken, what is skipped and why, what ends them, and that the counts add up.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#libs/base';
import { type FakeBehaviour, fakeVocabularySize } from '#libs/engine';
import { scanBody } from '#libs/openai';
import type { RoutingTable, ShadowPolicy } from '#libs/rollout';
import { createLog } from '#libs/telemetry';
import { BusyEngine, anAttempt as figures, plainWishes as wishes } from '../../../../test/support/ended-request.js';
import { aVersion, fakeFactory, until } from '../../../../test/support/gateway.js';
import type { Attempt } from '../completions/attempt.js';
import { chatEndpoint } from '../completions/chat-endpoint.js';
import { Deadlines } from '../completions/deadlines.js';
import { EnginePool } from '../engines/pool.js';
import { KeptAnswers } from '../kept-answers/kept-answers.js';
import { FirstAnswers } from '../routing/first-answers.js';
import type { MirrorReport } from './report.js';
import { RunningMirrors } from './running-mirrors.js';
import { type Answered, Shadow } from './shadow.js';

const [v1, v2] = [aVersion('v1'), aVersion('v2')];
const log = createLog('spec', 'silent');
const clock = systemClock;
const hung = { firstTokenMs: 60_000 };
const plenty: ShadowPolicy = { share: 1, concurrentRequests: 8, tokensPerSecond: 1_000_000 };

function tableOf(shadow?: ShadowPolicy): RoutingTable {
  const rollout = { id: 'r1', candidate: v2.id, weight: 0, epoch: 4, salt: 'ab', ...(shadow ? { shadow } : {}) };
  return {
    incarnation: 'i',
    generation: 1,
    routes: [{ model: 'support', stable: v1.id, rollout }],
    versions: { [v1.id]: v1, [v2.id]: v2 },
  };
}

let stable: BusyEngine;
let candidate: BusyEngine;
let pool: EnginePool;
let shadow: Shadow;
let reports: MirrorReport[];
const keptAnswers = new KeptAnswers();

async function mirrored(policy: ShadowPolicy | undefined, options: { deadlines?: Deadlines; breaks?: boolean } = {}): Promise<void> {
  pool = new EnginePool({ factory: fakeFactory({ v1: stable, v2: candidate }), clock, log, onChange: () => undefined });
  shadow = new Shadow({
    feed: { current: null },
    pool,
    clock,
    log,
    keptAnswers,
    running: new RunningMirrors(pool, clock),
    firstAnswers: new FirstAnswers(),
    deadlines: options.deadlines ?? new Deadlines(clock),
    onMirrored: (report) => {
      reports.push(report);
      if (options.breaks) throw new Error('whoever listens broke');
    },
  });
  pool.follow(tableOf(policy));
  shadow.follow(tableOf(policy));
  await until(() => pool.serves(v1.id) && pool.serves(v2.id), 'engines');
}

beforeEach(() => {
  [stable, candidate, reports] = [new BusyEngine(), new BusyEngine(), []];
});
afterEach(async () => {
  shadow.stop();
  await until(() => shadow.figures().running === 0, 'mirrors to end');
  await pool.close();
});

function answered(more: Partial<Answered['admitted']> = {}, attempt: Partial<Attempt> = {}): Answered {
  const json = { model: 'support', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 16 };
  const body = scanBody(Buffer.from(JSON.stringify(json)));
  if (!body.ok) throw new Error('the spec asks for nonsense');
  const asked = chatEndpoint.read(body.value);
  const [route] = tableOf(plenty).routes;
  if (!asked.ok || !route) throw new Error('the spec asks for nonsense');
  return {
    requestId: 'request-1',
    assignedAt: 1_000,
    totalMs: 12,
    kept: null,
    attempt: { ...figures, ...attempt },
    admitted: {
      route,
      assignment: { versionId: v1.id, arm: null, rolloutId: null, epoch: null },
      pinned: false,
      wishes,
      unit: 'u',
      named: false,
      promptClass: 'chat',
      asked: asked.value,
      body: body.value,
      ...more,
    },
  };
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((total, count) => total + count, 0);

/** Offers one and waits until it was begun or skipped. */
async function offer(one = answered()): Promise<void> {
  const { drawn } = shadow.figures();
  shadow.offer(one);
  await until(() => shadow.figures().drawn > drawn, 'the mirror to have its turn');
}

async function allEnded(): Promise<void> {
  await until(() => shadow.figures().running === 0, 'mirrors to end');
  const { drawn, skipped, ended, cancelledFor } = shadow.figures();
  expect(drawn).toBe(sum(skipped) + sum(ended));
  expect(ended.cancelled).toBe(sum(cancelledFor));
}

describe('a mirrored request', () => {
  it('is asked of the candidate behind all others, and tells both answers without a word of them', async () => {
    candidate.behaviour = { tokens: () => ['a', 'b', 'c'], entropyNats: 0.9 };
    await mirrored(plenty);
    await offer();
    await allEnded();
    expect(candidate.seen).toMatchObject([{ id: 'shadow-request-1', ticket: { priority: 'shadow', tenant: 'shadow r1' } }]);
    expect(stable.seen).toEqual([]);
    expect(reports).toMatchObject([
      {
        requestId: 'request-1',
        model: 'support',
        rolloutId: 'r1',
        epoch: 4,
        promptClass: 'chat',
        unit: 'u',
        outcome: 'ok',
        reason: null,
        candidate: { versionId: v2.id, finishReason: 'stop', inputTokens: 4, outputTokens: 3, entropyMeanNats: 0.9 },
        stable: { versionId: v1.id, finishReason: 'stop', inputTokens: 3, outputTokens: 5, entropyMeanNats: 0.7, totalMs: 12 },
      },
    ]);
    expect(reports[0]?.candidate.nllMeanNats).toBeCloseTo(0.1);
    expect(JSON.stringify(reports)).not.toContain('Hi');
    expect(shadow.figures()).toMatchObject({ eligible: 1, tokens: 7 });
  });

  it.each<[string, Partial<Answered['admitted']>, Partial<Attempt>]>([
    ['that pins a version', { pinned: true }, {}],
    ['that waits behind users on purpose', { wishes: { ...wishes, priority: 'evaluation' } }, {}],
    ['that the candidate answered', { assignment: { versionId: v2.id, arm: 'candidate', rolloutId: 'r1', epoch: 1 } }, {}],
    ['that failed', {}, { outcome: 'error' }],
    ['whose client left', {}, { outcome: 'clientGone' }],
  ])('is none %s', async (_what, more, attempt) => {
    await mirrored(plenty);
    shadow.offer(answered(more, attempt));
    await new Promise((done) => setImmediate(done));
    expect(shadow.figures()).toMatchObject({ eligible: 0, drawn: 0 });
  });

  it('is not sent before the turn in which its answer was given is over', async () => {
    await mirrored(plenty);
    shadow.offer(answered());
    await Promise.resolve();
    expect(candidate.seen).toEqual([]);
    await until(() => candidate.seen.length === 1, 'the mirror');
  });

  it.each<[string, () => void, MirrorReport['outcome'], string]>([
    [
      'fails',
      () => (candidate.behaviour = { failWith: () => ({ code: 'engine.crashed', message: '', retryable: true }) }),
      'failed',
      'engine.crashed',
    ],
    ['breaks off', () => (candidate.behaviour = { dieAfterTokens: 1 }), 'failed', 'engine.crashed'],
    [
      'is refused for load',
      () => (candidate.behaviour = { failWith: () => ({ code: 'engine.overloaded', message: '', retryable: true }) }),
      'refused',
      'engine.overloaded',
    ],
    ['hangs', () => (candidate.behaviour = hung), 'timeout', 'timeoutFirstToken'],
  ])('that %s is told as that and leaves the breaker alone', async (_what, arrange, outcome, reason) => {
    arrange();
    await mirrored(plenty, { deadlines: new Deadlines(clock, { firstTokenMs: 50, betweenTokensMs: 50, totalMs: 1_000 }) });
    for (let n = 0; n < 25; n += 1) {
      await offer();
      if (n % 5 === 0) await allEnded();
    }
    await allEnded();
    expect(reports[0]).toMatchObject({ outcome, reason });
    expect(pool.find(v2.id)?.breaker.open).toBe(false);
  });

  it('that breaks inside the gateway is counted, and the process goes on', async () => {
    await mirrored(plenty, { breaks: true });
    await offer();
    await allEnded();
    const one = answered();
    const broken = () => {
      throw new Error('nobody expects it');
    };
    await offer(answered({ asked: { ...one.admitted.asked, requests: broken } }));
    candidate.generate = broken;
    await offer();
    await allEnded();
    expect(shadow.figures()).toMatchObject({ skipped: { broken: 1 }, ended: { ok: 1, broken: 1 } });
  });
});

describe('the answer of stable', () => {
  const scoring: ShadowPolicy = { ...plenty, scoring: true };
  /** As if a client had been sent this. */
  function heard(text = 'Yes indeed.', more: Partial<Answered['admitted']> = {}): Answered {
    const [route] = tableOf(scoring).routes;
    const one = answered({ ...(route ? { route } : {}), ...more });
    const kept = shadow.listen(one.admitted);
    kept?.begin('whole');
    kept?.take(Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content: text } }] })));
    return { ...one, kept };
  }

  it('is read by both after the prompt as each has it, and told as means of the same tokens', async () => {
    await mirrored(scoring);
    candidate.behaviour = { distribution: () => Array(fakeVocabularySize).fill(1 / fakeVocabularySize) };
    await offer(heard());
    await allEnded();
    for (const engine of [stable, candidate]) {
      expect(engine.seenScores).toMatchObject([
        { continuations: ['Yes indeed.'], context: { kind: 'chat', messages: [{ content: 'Hi' }] }, ticket: { priority: 'shadow' } },
      ]);
    }
    const { forced } = reports[0] ?? {};
    expect(forced?.tokens).toBe(2);
    expect(forced?.candidate.entropyMeanNats).toBeCloseTo(Math.log(fakeVocabularySize), 6);
    expect(forced?.stable.entropyMeanNats).not.toBeCloseTo(Math.log(fakeVocabularySize), 2);
    expect(shadow.figures()).toMatchObject({ read: 1, ended: { ok: 1 } });
    expect(JSON.stringify(reports)).not.toContain('indeed');
    expect(keptAnswers.size).toBe(0);
  });

  it.each<[string, { stable?: FakeBehaviour; candidate?: FakeBehaviour; text?: string }]>([
    ['tokenizer', { candidate: { capabilities: { vocabularyHash: 'other' } } }],
    ['tokenizer', { stable: { capabilities: { vocabularyHash: null } } }],
    ['engine', { candidate: { capabilities: { scoring: false } } }],
    ['empty', { text: '' }],
    ['memory', { text: 'x'.repeat(600_000) }],
    ['failed', { stable: { failWith: () => ({ code: 'engine.failed', message: '', retryable: false }) } }],
  ])('is not read for a reason that is counted (%s), and the prompt is mirrored all the same', async (reason, how) => {
    stable.behaviour = how.stable ?? {};
    candidate.behaviour = how.candidate ?? {};
    await mirrored(scoring);
    await offer(heard(how.text));
    await allEnded();
    expect(shadow.figures()).toMatchObject({ read: 0, unread: { [reason]: 1 }, ended: { ok: 1 } });
    expect(reports[0]?.forced).toBeNull();
    expect(keptAnswers.size).toBe(0);
  });

  it('is kept for nobody where the plan does not ask, the mirror is skipped, or the request failed', async () => {
    await mirrored(plenty);
    expect(shadow.listen(answered().admitted)).toBeNull();
    await mirrored({ ...scoring, concurrentRequests: 1 });
    candidate.behaviour = hung;
    await offer(heard());
    await offer(heard());
    expect(shadow.figures()).toMatchObject({ skipped: { concurrency: 1 } });
    shadow.offer({ ...heard(), attempt: { ...figures, outcome: 'error' } });
    shadow.stop();
    await allEnded();
    expect(shadow.figures()).toMatchObject({ unread: { cancelled: 1 }, ended: { cancelled: 1 } });
    expect(keptAnswers.size).toBe(0);
  });

  it('costs the budget what two engines read', async () => {
    await mirrored(scoring);
    await offer(heard());
    await allEnded();
    // Its own prompt and answer, and twice the prompt and stable's two tokens.
    expect(shadow.figures()).toMatchObject({ tokens: 4 + 2 + 2 * (4 + 2) });
  });
});

describe('mirrors are skipped', () => {
  it('beyond the number that may run', async () => {
    candidate.behaviour = hung;
    await mirrored({ ...plenty, concurrentRequests: 2 });
    for (let n = 0; n < 5; n += 1) await offer();
    expect(shadow.figures()).toMatchObject({ running: 2, skipped: { concurrency: 3 } });
  });

  it('beyond the tokens that may be spent', async () => {
    await mirrored({ ...plenty, tokensPerSecond: 4 });
    // 35 tokens are held of 40; 6 are spent.
    await offer();
    await offer();
    await allEnded();
    expect(shadow.figures()).toMatchObject({ ended: { ok: 1 }, skipped: { tokens: 1 } });
  });

  it('while the candidate is not ready', async () => {
    await mirrored(plenty);
    candidate.become('failed');
    await offer();
    expect(shadow.figures()).toMatchObject({ skipped: { notServed: 1 } });
  });

  it.each(['stable', 'candidate'])('while users wait at %s', async (which) => {
    await mirrored(plenty);
    (which === 'stable' ? stable : candidate).queuedLive = 1;
    await offer();
    expect(shadow.figures()).toMatchObject({ skipped: { live: 1 } });
  });

  it('of a unit that has been paired, or is being, but not of one whose mirror said nothing', async () => {
    const named = (unit: string): Answered => answered({ unit, named: true });
    await mirrored(plenty);
    candidate.behaviour = { failWith: () => ({ code: 'engine.overloaded', message: '', retryable: true }) };
    await offer(named('ann'));
    await allEnded();
    candidate.behaviour = { firstTokenMs: 20 };
    await offer(named('ann'));
    await offer(named('ann'));
    await allEnded();
    candidate.behaviour = {};
    for (const unit of ['ann', 'bob', 'bob']) {
      await offer(named(unit));
      await allEnded();
    }
    expect(shadow.figures()).toMatchObject({ ended: { refused: 1, ok: 2 }, skipped: { counted: 3 } });
  });

  it('when the table has changed since the request', async () => {
    await mirrored(undefined);
    await offer();
    expect(shadow.figures()).toMatchObject({ skipped: { table: 1 } });
  });
});

describe('mirrors are cancelled', () => {
  beforeEach(async () => {
    candidate.behaviour = hung;
    await mirrored(plenty);
    for (let n = 0; n < 3; n += 1) await offer();
    await until(() => candidate.seen.length === 3, 'mirrors to run');
  });

  it.each(['stable', 'candidate'])('in the very turn in which a request has to wait at %s', async (which) => {
    (which === 'stable' ? stable : candidate).queuedLive = 1;
    shadow.sent(which === 'stable' ? v1.id : v2.id, 1, 'live');
    await allEnded();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { live: 3 } });
    expect(candidate.cancelled).toBe(3);
    // And there are none for a while, though nobody waits any more.
    [stable.queuedLive, candidate.queuedLive] = [0, 0];
    await offer();
    expect(shadow.figures()).toMatchObject({ running: 0, skipped: { live: 1 } });
  });

  it('when users wait whom another gateway sent', async () => {
    stable.queuedLive = 1;
    await allEnded();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { live: 3 } });
  });

  it('when more was sent to an engine than it can run, before its child says so', async () => {
    stable.behaviour = { capabilities: { maxParallel: 2 } };
    for (let n = 0; n < 2; n += 1) shadow.sent(v1.id, 1, 'live');
    expect(candidate.cancelled).toBe(0);
    shadow.sent(v1.id, 1, 'live');
    await allEnded();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { live: 3 } });
  });

  it('when a request was refused for load', async () => {
    shadow.sent(v1.id, 1, 'live');
    shadow.over(v1.id, 1, 'live', true);
    await allEnded();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { live: 3 } });
  });

  it('when the table mirrors the rollout no more', async () => {
    shadow.follow(tableOf());
    await allEnded();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { table: 3 } });
  });

  it('when the gateway stops, and none begins then', async () => {
    shadow.stop();
    await allEnded();
    await offer();
    expect(shadow.figures()).toMatchObject({ cancelledFor: { stopping: 3 }, skipped: { stopping: 1 } });
  });

  it('by nothing else: requests that find room leave them alone', async () => {
    for (let n = 0; n < 50; n += 1) {
      shadow.sent(v1.id, 1, 'live');
      shadow.over(v1.id, 1, 'live', false);
    }
    expect(shadow.figures()).toMatchObject({ running: 3 });
    expect(candidate.cancelled).toBe(0);
  });
});
