// Versions whose servers go away and come back: who answers meanwhile, what clients are told, and that an outage is not called a failure of the version.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ServedVersion } from '#libs/rollout';
import { aGateway, aKey, aVersion, publish, readyz, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { FakeUpstream } from '../../support/upstream.js';

let test: TestDatabase;
let gateway: TestGateway;
let key: string;
let upstreams: Record<string, FakeUpstream>;
let urls: Record<string, string>;
let versions: Record<string, ServedVersion>;
const others: TestGateway[] = [];

const stateOf = async (label: string, at = gateway): Promise<string | undefined> =>
  (await readyz(at.url)).checks.engines[versions[label]?.id ?? '']?.state;

/** As a process that was killed: nobody listens any more. */
async function kill(label: string): Promise<void> {
  await upstreams[label]?.stop();
}

/** Another process at the same place. */
async function revive(label: string): Promise<void> {
  const upstream = new FakeUpstream('vllm');
  await upstream.start(Number(new URL(urls[label] ?? '').port));
  upstreams[label] = upstream;
}

interface Answer {
  readonly status: number;
  readonly version: string | null;
  readonly code: string | undefined;
  readonly retryAfterS: number;
}

async function ask(): Promise<Answer> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hi' }] }),
    signal: AbortSignal.timeout(15_000),
  });
  const body = (await response.json()) as { error?: { code: string } };
  const retryAfterS = Number(response.headers.get('retry-after') ?? Number.NaN);
  return { status: response.status, version: response.headers.get('x-serin-version'), code: body.error?.code, retryAfterS };
}

const askMany = async (count: number): Promise<Answer[]> => await Promise.all(Array.from({ length: count }, ask));

async function counts(label: string): Promise<Record<string, number>> {
  const answer = await fetch(`${gateway.url}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
  const { checks } = (await answer.json()) as {
    checks: { requests: { versions: Record<string, { label: string; counts: Record<string, number> }> } };
  };
  return Object.values(checks.requests.versions).find((one) => one.label === label)?.counts ?? {};
}

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
});
afterAll(async () => {
  await test?.drop();
});
beforeEach(async () => {
  upstreams = { stable: new FakeUpstream('vllm'), candidate: new FakeUpstream('vllm') };
  urls = {};
  for (const [label, upstream] of Object.entries(upstreams)) urls[label] = await upstream.start();
  const version = (label: string): ServedVersion =>
    aVersion(label, { engine: { kind: 'openai', baseUrl: urls[label], model: 'fake-model' } });
  const [stable, candidate] = [version('stable'), version('candidate')];
  versions = { stable, candidate };
  const rollout = { id: 'r1', candidate: candidate.id, weight: 0.5, epoch: 1, salt: '0123456789abcdef' };
  const generation = await publish(test, { routes: [{ model: 'support', stable: stable.id, rollout }], versions: [stable, candidate] });
  gateway = await aGateway(test.url);
  await untilServing(gateway.url, generation);
});
afterEach(async () => {
  for (const one of [gateway, ...others.splice(0)]) await one.remove();
  for (const upstream of Object.values(upstreams)) await upstream.stop();
});

describe("a candidate whose servers go away under users' requests", () => {
  it('costs no user an answer, is unreachable and not failed, and gets its share again when they are back', async () => {
    await kill('candidate');
    // Half of them meet it; 22 may be tried again.
    const met = await askMany(24);
    expect(met.filter(({ status }) => status !== 200)).toEqual([]);
    await until(async () => (await stateOf('candidate')) === 'unreachable', 'the outage to be noticed');
    const during = await askMany(60);
    expect(during.filter(({ status, version }) => status !== 200 || version !== 'stable')).toEqual([]);
    expect(await stateOf('candidate')).toBe('unreachable');
    expect((await counts('candidate'))['upstreamError'] ?? 0).toBe(0);
    await revive('candidate');
    await until(async () => (await stateOf('candidate')) === 'ready', 'the candidate to be back');
    const after = await askMany(60);
    expect(after.filter(({ status }) => status !== 200)).toEqual([]);
    expect(after.some(({ version }) => version === 'candidate')).toBe(true);
  });
});

describe('a stable whose servers go away', () => {
  it('is answered for by 503 with a time, counted as its errors, until they are back', async () => {
    await kill('candidate');
    await kill('stable');
    await until(async () => {
      await ask();
      return (await stateOf('stable')) === 'unreachable' && (await stateOf('candidate')) === 'unreachable';
    }, 'the outage to be noticed');
    const before = (await counts('stable'))['upstreamError'] ?? 0;
    const answers = await askMany(10);
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, code: 'engine_unavailable', version: 'stable' });
    expect(answers.filter(({ retryAfterS }) => !(retryAfterS >= 1))).toEqual([]);
    expect((await counts('stable'))['upstreamError']).toBe(before + 10);
    expect((await readyz(gateway.url)).status).toBe(200);
    await revive('stable');
    await until(async () => (await ask()).status === 200, 'stable to be back');
  });
});

describe('a gateway that starts during an outage', () => {
  it('says so, and does not call the version failed; it serves as soon as the servers are back', async () => {
    await kill('stable');
    const late = await aGateway(test.url, { gatewayId: 'late' });
    others.push(late);
    await until(async () => (await stateOf('stable', late)) === 'unreachable', 'the outage to be noticed');
    const { checks } = await readyz(late.url);
    expect(checks.engines[versions['stable']?.id ?? '']?.reason).toContain('the upstream cannot be reached');
    await revive('stable');
    await until(async () => (await stateOf('stable', late)) === 'ready', 'stable to be loaded', 40_000);
  });
});
