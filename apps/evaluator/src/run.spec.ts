import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '#libs/base';
import type { TestCase } from '#libs/scoring';
import type { EvaluationResult, EvaluationRun } from '#libs/storage';
import type { Question, Reply } from './gateway-client.js';
import { RunFailed, RunStopped, resultKey, runEvaluation } from './run.js';

/** Waiting takes no time here, but moves the clock. */
class QuickClock implements Clock {
  private ms = 0;
  now(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.ms += ms;
    await Promise.resolve();
    signal?.throwIfAborted();
  }
}

const versions = { candidate: { id: 'c', label: 'v2' }, baseline: { id: 'b', label: 'v1' } };
const answered: Reply = { kind: 'answered', output: 'yes', outputTokens: 1, latencyMs: 1 };

function casesOf(count: number): { idx: number; testCase: TestCase }[] {
  return Array.from({ length: count }, (_, idx) => ({
    idx,
    testCase: { id: `t${idx}`, messages: [{ role: 'user', content: String(idx) }], expected: 'yes', scoring: { type: 'exact' } },
  }));
}

function runOf(count: number, maxErrorShare = 1): EvaluationRun {
  const policy = { testSet: 's', margin: 0.02, minCases: 1, maxErrorShare };
  return { id: 'e', rolloutId: null, model: 'm', ...versions, testSetVersionId: 's', policy, planned: count, runningMs: 0 };
}

interface Play {
  readonly count: number;
  readonly reply: (question: Question, turn: number) => Reply;
  readonly stored?: Map<string, EvaluationResult>;
  /** Killed after so many results. */
  readonly killAfter?: number;
  /** No longer running after so many results: what comes later is not stored. */
  readonly cancelAfter?: number;
  readonly concurrency?: number;
  readonly maxErrorShare?: number;
  readonly patienceMs?: number;
}

/** One run; answers what it asked and what is stored, and throws what the run throws. */
async function play({ count, reply, stored = new Map(), killAfter = Infinity, cancelAfter = Infinity, ...rest }: Play) {
  const kill = new AbortController();
  const asked: string[] = [];
  let inFlight = 0;
  let most = 0;
  let recorded = 0;
  const failure = await runEvaluation({
    run: runOf(count, rest.maxErrorShare),
    cases: casesOf(count),
    done: new Set(stored.keys()),
    client: {
      ask: async (question, signal) => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        asked.push(resultKey(question.versionLabel === 'v2' ? 'c' : 'b', Number(question.testCase.messages[0]?.content)));
        const turn = asked.length;
        await Promise.resolve();
        inFlight -= 1;
        signal.throwIfAborted();
        return reply(question, turn);
      },
    },
    record: async (result) => {
      await Promise.resolve();
      if (recorded >= cancelAfter) return false;
      recorded += 1;
      const key = resultKey(result.versionId, result.caseIdx);
      if (!stored.has(key)) stored.set(key, result);
      if (recorded >= killAfter) kill.abort(new Error('killed'));
      return true;
    },
    concurrency: rest.concurrency ?? 4,
    patienceMs: rest.patienceMs ?? 60_000,
    clock: new QuickClock(),
    signal: kill.signal,
  }).then(
    () => null,
    (error: unknown) => error,
  );
  return { asked, stored, failure, most };
}

const trouble = fc.constantFrom<Reply>(
  { kind: 'later', reason: 'full', retryAfterMs: null },
  { kind: 'later', reason: 'loading', retryAfterMs: 1_000 },
  { kind: 'failed', reason: 'crashed' },
  { kind: 'refused', reason: 'too long' },
  answered,
  answered,
  answered,
);

describe('a run', () => {
  it('asks every case once of both versions, never more at a time than allowed, and each pair side by side', async () => {
    const { asked, stored, failure, most } = await play({ count: 25, reply: () => answered, concurrency: 3 });
    expect(failure).toBeNull();
    expect(new Set(asked).size).toBe(50);
    expect(asked).toHaveLength(50);
    expect(stored.size).toBe(50);
    expect(most).toBeLessThanOrEqual(3);
    expect(asked.slice(0, 4)).toEqual(['c/0', 'b/0', 'b/1', 'c/1']);
  });

  it('has a result for every case in the end, whatever comes between and however often it is killed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.array(trouble, { maxLength: 40 }).map((script) => [...script, answered]),
        fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 6 }),
        async (count, script, kills, concurrency) => {
          const stored = new Map<string, EvaluationResult>();
          const reply = (_: Question, turn: number): Reply => script[turn % script.length] ?? answered;
          const patienceMs = Number.POSITIVE_INFINITY;
          for (const killAfter of kills) {
            const before = new Set(stored.keys());
            const { asked, failure } = await play({ count, reply, stored, killAfter, concurrency, patienceMs });
            expect(asked.filter((key) => before.has(key))).toEqual([]);
            expect(failure === null || failure instanceof Error).toBe(true);
          }
          // At last the gateway is well.
          expect((await play({ count, reply: () => answered, stored, concurrency })).failure).toBeNull();
          expect(stored.size).toBe(2 * count);
        },
      ),
    );
  });

  it('stops at once when its evaluation is no longer running', async () => {
    const { asked, stored, failure } = await play({ count: 50, reply: () => answered, cancelAfter: 10 });
    expect(failure).toBeInstanceOf(RunStopped);
    expect(stored.size).toBe(10);
    expect(asked.length).toBeLessThanOrEqual(10 + 4);
  });

  it('waits for as long as its patience lasts, for each version by itself', async () => {
    const loading = (question: Question): Reply =>
      question.versionLabel === 'v2' ? { kind: 'later', reason: 'loading', retryAfterMs: null } : answered;
    const { failure } = await play({ count: 40, reply: loading, patienceMs: 30_000, concurrency: 50 });
    expect(failure).toBeInstanceOf(RunFailed);
    expect((failure as Error).message).toBe('version "v2" did not answer for 30 s: loading');
    const late = await play({ count: 40, reply: (question, turn) => (turn < 200 ? loading(question) : answered), patienceMs: 600_000 });
    expect(late.failure).toBeNull();
  });

  it('gives a version up that fails on more cases than the policy bears, and no sooner', async () => {
    const bad =
      (share: number) =>
      ({ versionLabel, testCase }: Question): Reply =>
        versionLabel === 'v2' && Number(testCase.id.slice(1)) < share ? { kind: 'refused', reason: 'no' } : answered;
    expect((await play({ count: 100, reply: bad(10), maxErrorShare: 0 })).failure).toBeNull();
    expect((await play({ count: 100, reply: bad(11), maxErrorShare: 0 })).failure).toBeInstanceOf(RunFailed);
    expect((await play({ count: 100, reply: bad(20), maxErrorShare: 0.2 })).failure).toBeNull();
  });

  it('counts the requests that a result took', async () => {
    const { stored } = await play({
      count: 1,
      reply: (_, turn) => (turn <= 4 ? { kind: 'failed', reason: 'crashed' } : answered),
      concurrency: 1,
    });
    expect(stored.get('c/0')).toMatchObject({ outcome: 'errored', attempts: 4, error: 'crashed', passed: null });
    expect(stored.get('b/0')).toMatchObject({ outcome: 'answered', attempts: 1, passed: true, score: 1 });
  });
});
