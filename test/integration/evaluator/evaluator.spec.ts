import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type EvaluatorOptions, type RunningEvaluator, startEvaluator } from '#apps/evaluator';
import { EvaluationResultStore, EvaluationStore, RoutingStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { type Asked, FakeGateway, type Scripted } from './fake-gateway.js';
import { queue, setScene, until } from './scene.js';

let db: TestDatabase;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  db = await createTestDatabase();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(async () => {
  await db.drop();
});

/** The question "n+1" answered rightly. */
const right = ({ body }: Asked): string => String(Number.parseInt(body.messages.at(-1)?.content ?? '', 10) + 1);
const numberOf = ({ body }: Asked): number => Number.parseInt(body.messages.at(-1)?.content ?? '', 10);

async function gateway(answer: (asked: Asked, repeats: number) => Scripted): Promise<{ fake: FakeGateway; url: string }> {
  const fake = new FakeGateway(answer);
  const url = await fake.start();
  closers.push(async () => await fake.stop());
  return { fake, url };
}

async function evaluator(gatewayUrl: string, options: Partial<EvaluatorOptions> = {}): Promise<RunningEvaluator> {
  const running = await startEvaluator({
    databaseUrl: db.url,
    host: '127.0.0.1',
    port: 0,
    gatewayUrl,
    gatewayKey: 'sk-serin-test',
    log: createLog('evaluator', 'silent'),
    ...options,
  });
  closers.push(async () => await running.close());
  return running;
}

describe('the verdict', () => {
  it('is pass for a candidate that answers as well as the baseline', async () => {
    const scene = await setScene(db.database, 160);
    const { fake, url } = await gateway(right);
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene));
    expect(row).toMatchObject({ state: 'complete', verdict: 'pass', candidateDone: 160, baselineDone: 160, error: null });
    expect(row.finding).toMatchObject({ verdict: 'pass', effect: 0, n: 160, better: 0, worse: 0, candidatePassRate: 1, margin: 0.02 });
    expect((row.finding as { slices: { kind: string }[] }).slices.map(({ kind }) => kind)).toEqual(['even', 'odd']);
    // Each case was asked once of each version, pinned, with the key, and no more than four at a time.
    expect([fake.countOf('v1'), fake.countOf('v2')]).toEqual([160, 160]);
    expect(
      fake.asked.every(({ key, body }) => key === 'Bearer sk-serin-test' && body.model === scene.model && body['temperature'] === 0),
    ).toBe(true);
    expect(fake.mostAtOnce).toBeLessThanOrEqual(4);
  });

  it('is fail for a candidate that loses more cases than the margin allows', async () => {
    const scene = await setScene(db.database, 100);
    const { url } = await gateway((asked) => (asked.version === 'v2' && numberOf(asked) % 5 === 0 ? 'wrong' : right(asked)));
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene));
    expect(row).toMatchObject({ state: 'complete', verdict: 'fail' });
    expect(row.finding).toMatchObject({ effect: -0.2, worse: 20, better: 0 });
    expect((row.finding as { note: string }).note).toMatch(/pass rate 80\.0% against 100\.0% on 100 cases: 0 better, 20 worse/);
  });

  it('is inconclusive when so few cases cannot rule the margin out', async () => {
    const scene = await setScene(db.database, 20);
    const { url } = await gateway(right);
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene));
    expect(row).toMatchObject({ state: 'complete', verdict: 'inconclusive' });
    expect((row.finding as { detectable: number }).detectable).toBeGreaterThan(0.02);
  });

  it('is unmeasured without a baseline', async () => {
    const scene = await setScene(db.database, 20);
    const { fake, url } = await gateway(right);
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene, {}, true));
    expect(row).toMatchObject({ state: 'complete', verdict: 'unmeasured', baseline: null });
    expect(fake.countOf('v1')).toBe(0);
  });
});

describe('trouble on the way', () => {
  it('waits for a gateway that does not know the version yet, is loading it, or is full', async () => {
    const scene = await setScene(db.database, 40);
    const script: Scripted[] = [
      { status: 404, code: 'version_not_found' },
      { status: 503, code: 'model_not_ready', retryAfterS: 1 },
      { status: 429, code: 'overloaded' },
    ];
    const { url } = await gateway((asked, repeats) => (numberOf(asked) === 7 ? (script[repeats] ?? right(asked)) : right(asked)));
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene, { margin: 0.1 }));
    expect(row).toMatchObject({ state: 'complete', verdict: 'pass' });
    const [stubborn] = await new EvaluationResultStore().cases(db.database.manager, row.id, { after: 6, limit: 1, flipped: false });
    expect(stubborn).toMatchObject({
      id: 'sum-7',
      candidate: { outcome: 'answered', attempts: 4, passed: true },
      baseline: { attempts: 4 },
    });
  });

  it('records a definite refusal as an error of the case and counts it against the candidate', async () => {
    const scene = await setScene(db.database, 100);
    const { fake, url } = await gateway((asked) =>
      asked.version === 'v2' && numberOf(asked) === 3 ? { status: 400, code: 'context_length_exceeded' } : right(asked),
    );
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene, { margin: 0.1 }));
    expect(row).toMatchObject({ state: 'complete', verdict: 'pass' });
    expect(row.finding).toMatchObject({ n: 100, worse: 1, candidateErrors: 1, baselineErrors: 0 });
    expect(fake.countOf('v2')).toBe(100);
  });

  it('tries again when the engine fails or does not answer in time, and gives the case up after four tries', async () => {
    const scene = await setScene(db.database, 100);
    const { url } = await gateway((asked, repeats) => {
      if (asked.version === 'v2' && numberOf(asked) === 1) return repeats < 2 ? { status: 502, code: 'engine_failed' } : right(asked);
      if (asked.version === 'v2' && numberOf(asked) === 2) return 'hang';
      return right(asked);
    });
    await evaluator(url, { requestLimitMs: 300 });
    const row = await until(db.database, await queue(db.database, scene, { margin: 0.1 }));
    expect(row).toMatchObject({ state: 'complete', finding: { candidateErrors: 1, worse: 1 } });
    const [mended, lost] = await new EvaluationResultStore().cases(db.database.manager, row.id, { after: 0, limit: 2, flipped: false });
    expect(mended).toMatchObject({ candidate: { outcome: 'answered', attempts: 3, passed: true } });
    expect(lost).toMatchObject({ candidate: { outcome: 'errored', attempts: 4, output: null, error: 'no answer within 0.3 s' } });
  });

  it('stores an answer that Postgres could not hold as it came', async () => {
    const scene = await setScene(db.database, 4);
    const { url } = await gateway((asked) => {
      if (numberOf(asked) === 1) return `a\0b\uD800${'x'.repeat(70_000)}`;
      return numberOf(asked) === 2 ? 'x'.repeat(5 * 1_048_576) : right(asked);
    });
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene));
    expect(row).toMatchObject({ state: 'complete', verdict: 'inconclusive' });
    const [odd, huge] = await new EvaluationResultStore().cases(db.database.manager, row.id, { after: 0, limit: 2, flipped: false });
    expect(huge?.candidate).toMatchObject({ outcome: 'errored', attempts: 1, error: 'the answer is longer than 4194304 bytes' });
    expect(odd?.candidate?.output?.slice(0, 5)).toBe('a\uFFFDb\uFFFDx');
    expect(odd?.candidate?.output).toHaveLength(65_536);
  });

  it('fails the evaluation when a version fails on case after case', async () => {
    const scene = await setScene(db.database, 60);
    const { fake, url } = await gateway((asked) =>
      asked.version === 'v2' ? { status: 400, code: 'unsupported_parameter' } : right(asked),
    );
    await evaluator(url);
    const row = await until(db.database, await queue(db.database, scene));
    expect(row).toMatchObject({ state: 'failed', verdict: null });
    expect(row.error).toMatch(/version "v2" failed on 11 cases.*HTTP 400 unsupported_parameter/);
    expect(fake.countOf('v2')).toBeLessThan(20);
  });

  it('fails the evaluation when the gateway stays away', async () => {
    const scene = await setScene(db.database, 10);
    await evaluator('http://127.0.0.1:9', { patienceMs: 400 });
    const row = await until(db.database, await queue(db.database, scene));
    expect(row.state).toBe('failed');
    expect(row.error).toMatch(/did not answer for 0 s: the gateway cannot be reached/);
  });

  it('stops soon after a cancellation and stores nothing more', async () => {
    const scene = await setScene(db.database, 40);
    const { fake, url } = await gateway((asked) => (numberOf(asked) >= 10 ? 'hang' : right(asked)));
    await evaluator(url);
    const id = await queue(db.database, scene);
    await until(db.database, id, (row) => row.candidateDone >= 10 && row.baselineDone >= 10);
    await new EvaluationStore().cancel(db.database.manager, id);
    const asked = fake.asked.length;
    await until(db.database, await queue(db.database, await setScene(db.database, 4)));
    const row = await until(db.database, id);
    expect(row).toMatchObject({ state: 'cancelled', verdict: null, candidateDone: 10, baselineDone: 10 });
    expect(fake.countOf('v1') + fake.countOf('v2') - asked).toBe(8);
  });
});

describe('what holds over restarts', () => {
  it('goes on where a closed evaluator stood, asking nothing twice that was stored', async () => {
    const scene = await setScene(db.database, 60);
    let slow = true;
    const { fake, url } = await gateway((asked) => (slow && numberOf(asked) >= 30 ? 'hang' : right(asked)));
    const first = await evaluator(url);
    const id = await queue(db.database, scene, { margin: 0.1 });
    await until(db.database, id, (row) => row.candidateDone >= 30 && row.baselineDone >= 30);
    await first.close();
    expect((await new EvaluationStore().get(db.database.manager, id))?.state).toBe('running');
    slow = false;
    await evaluator(url);
    expect(await until(db.database, id)).toMatchObject({ state: 'complete', verdict: 'pass', candidateDone: 60, baselineDone: 60 });
    const early = fake.asked.filter((asked) => numberOf(asked) < 30);
    expect(early).toHaveLength(60);
  });

  it('is run by one of several evaluators that start at once', async () => {
    const scene = await setScene(db.database, 60);
    const { fake, url } = await gateway(right);
    await Promise.all([evaluator(url), evaluator(url), evaluator(url)]);
    const rows = await Promise.all(
      [await queue(db.database, scene), await queue(db.database, scene), await queue(db.database, scene)].map(
        async (id) => await until(db.database, id),
      ),
    );
    expect(rows.map(({ state, candidateDone }) => [state, candidateDone])).toEqual(Array.from({ length: 3 }, () => ['complete', 60]));
    expect(fake.asked).toHaveLength(3 * 2 * 60);
  });

  it('unpins the versions when an evaluation of no rollout ends', async () => {
    const scene = await setScene(db.database, 12);
    const { url } = await gateway(right);
    const routing = new RoutingStore();
    const id = await queue(db.database, scene);
    expect(Object.keys((await routing.read(db.database.manager))?.versions ?? {})).toContain(scene.candidateId);
    await evaluator(url);
    await until(db.database, id);
    expect(Object.keys((await routing.read(db.database.manager))?.versions ?? {})).not.toContain(scene.candidateId);
  });

  it('does not start on a port that is taken, and leaves no connection behind', async () => {
    const { url } = await gateway(right);
    const taken = Number(new URL(url).port);
    await expect(evaluator(url, { port: taken })).rejects.toThrow(/EADDRINUSE/);
    const [open] = await db.database.manager.query(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name like 'serin-evaluator%'`,
    );
    expect(open).toEqual({ count: 0 });
  });

  it('says when it is ready to work', async () => {
    const { url } = await gateway(right);
    const running = await evaluator(url);
    await expect.poll(async () => (await fetch(`${running.url}/readyz?verbose`)).status).toBe(200);
    expect(await (await fetch(`${running.url}/livez`)).json()).toEqual({ status: 'ok' });
  });
});
