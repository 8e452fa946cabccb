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

  it('says when it is ready to work', async () => {
    const { url } = await gateway(right);
    const running = await evaluator(url);
    await expect.poll(async () => (await fetch(`${running.url}/readyz?verbose`)).status).toBe(200);
    expect(await (await fetch(`${running.url}/livez`)).json()).toEqual({ status: 'ok' });
  });
});
