// Mirroring in a whole gateway, over real sockets and Postgres: whatever the candidate does, users get stable's bytes, and nothing is counted for them.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MirrorReport } from '#apps/gateway';
import type { ShadowPolicy } from '#libs/rollout';
import { ApiKeyStore, PairedWindowStore } from '#libs/storage';
import { post } from '../../support/client.js';
import { aGateway, aVersion, publish, type TestGateway, until, untilServing } from '../../support/gateway.js';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js';
import { FakeUpstream, type UpstreamFault } from '../../support/upstream.js';

let test: TestDatabase;
let gateway: TestGateway;
let at: { url: string; key: string };
const stable = new FakeUpstream('vllm');
const candidate = new FakeUpstream('vllm');
const rolloutId = randomUUID();
const reports: MirrorReport[] = [];
const path = '/v1/chat/completions';
const chat = { model: 'support', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 16 };
const plenty: ShadowPolicy = { share: 1, concurrentRequests: 64, tokensPerSecond: 1_000_000 };
const spec = (baseUrl: string) => ({
  engine: { kind: 'openai', baseUrl, model: 'fake-model', maxConcurrent: 8, logprobs: { top: 20, share: 1 } },
  sampling: {},
});
let versions: [ReturnType<typeof aVersion>, ReturnType<typeof aVersion>];

interface Checks {
  readonly shadow: {
    readonly eligible: number;
    readonly drawn: number;
    readonly running: number;
    readonly tokens: number;
    readonly skipped: Readonly<Record<string, number>>;
    readonly ended: Readonly<Record<string, number>>;
    readonly cancelledFor: Readonly<Record<string, number>>;
  };
  readonly requests: {
    readonly retries: { readonly made: number };
    readonly versions: Readonly<Record<string, { readonly label: string; readonly counts: Readonly<Record<string, number>> }>>;
  };
  readonly engines: Readonly<Record<string, { readonly state: string }>>;
  readonly figures: Readonly<Record<string, { readonly stats: { readonly endpoints: readonly { readonly state: string }[] } }>>;
}

async function checks(url = gateway.url): Promise<Checks> {
  const answer = await fetch(`${url}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
  return ((await answer.json()) as { checks: Checks }).checks;
}

/** Puts the candidate under the policy, or takes it out of the table's mirroring. */
async function mirrorBy(shadow: ShadowPolicy | null, target = gateway): Promise<void> {
  const [v1, v2] = versions;
  const rollout = { id: rolloutId, candidate: v2.id, weight: 0, epoch: 1, salt: '0f'.repeat(16), ...(shadow ? { shadow } : {}) };
  const generation = await publish(test, { routes: [{ model: 'support', stable: v1.id, rollout }], versions });
  await untilServing(target.url, generation);
}

const allEnded = async (): Promise<void> => await until(async () => (await checks()).shadow.running === 0, 'all mirrors to end');

beforeAll(async () => {
  test = await createTestDatabase();
  const limits = { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, concurrentRequests: 500 };
  const { key } = await new ApiKeyStore().create(test.database.manager, { name: 'test', scopes: ['inference:invoke'], limits });
  versions = [aVersion('v1', spec(await stable.start())), aVersion('v2', spec(await candidate.start()))];
  gateway = await aGateway(test.url, {
    onMirrored: (report) => reports.push(report),
    deadlines: { firstTokenMs: 2_000, betweenTokensMs: 1_000, totalMs: 4_000 },
  });
  at = { url: gateway.url, key };
  await mirrorBy(plenty);
});
afterAll(async () => {
  await gateway?.remove();
  await Promise.all([stable.stop(), candidate.stop()]);
  await test?.drop();
});
afterEach(async () => {
  candidate.fault = null;
  for (const one of [stable, candidate]) one.tokenMs = 0;
  await mirrorBy(null);
  await allEnded();
  reports.length = 0;
  // The rest after users waited.
  await until(async () => {
    await mirrorBy(plenty);
    const before = (await checks()).shadow.ended['ok'] ?? 0;
    await post(at, path, chat);
    await allEnded();
    return ((await checks()).shadow.ended['ok'] ?? 0) > before;
  }, 'mirrors to run again');
  reports.length = 0;
});

describe('a candidate that is mirrored to', () => {
  const faults: readonly (readonly [string, UpstreamFault | null, number])[] = [
    ['answers well', null, 0],
    ['is slow', null, 60],
    ['never answers', { kind: 'silent', after: 'request' }, 0],
    ['hangs in the middle', { kind: 'silent', after: 2 }, 0],
    ['cuts every connection', { kind: 'cut', after: 'request' }, 0],
    ['dies in the middle', { kind: 'cut', after: 2 }, 0],
    ['answers 500', { kind: 'status', status: 500 }, 0],
    ['answers 429', { kind: 'status', status: 429, headers: { 'retry-after': '1' } }, 0],
    ['sends nonsense', { kind: 'garbage', after: 1, bytes: 'data: {{{\n\n' }, 0],
    ['is no HTTP server', { kind: 'noHttp' }, 0],
    ['never ends', { kind: 'endless', piece: 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n' }, 0],
  ];

  it.each(faults)('that %s changes nothing for users: bytes, states, retries, observations, health', async (_what, fault, tokenMs) => {
    const streamed = { ...chat, stream: true };
    await mirrorBy(null);
    const wholeText = (await post(at, path, chat)).text;
    const streamText = (await post(at, path, streamed)).text;
    await mirrorBy(plenty);
    candidate.fault = fault;
    candidate.tokenMs = tokenMs;
    const before = await checks();
    const answers = await Promise.all(Array.from({ length: 6 }, async (_, n) => await post(at, path, n % 2 === 0 ? chat : streamed)));
    for (const [n, answer] of answers.entries()) {
      expect(answer.status).toBe(200);
      expect(answer.text).toBe(n % 2 === 0 ? wholeText : streamText);
      expect(answer.headers.get('x-serin-version')).toBe('v1');
    }
    await until(() => reports.length >= 6, 'reports of all mirrors');
    expect(new Set(reports.map(({ stable: { versionId } }) => versionId))).toEqual(new Set([versions[0].id]));
    const after = await checks();
    expect(after.shadow.drawn - before.shadow.drawn).toBe(6);
    // Its own counts only: not a state of a request, not a retry, not a window, not the health of its endpoint.
    expect(after.requests.versions[versions[1].id]).toBeUndefined();
    const grown = (state: string): number => {
      const of = ({ requests }: Checks) => requests.versions[versions[0].id]?.counts[state] ?? 0;
      return of(after) - of(before);
    };
    expect(grown('ok')).toBe(6);
    expect(after.requests.retries.made).toBe(0);
    expect(after.engines[versions[1].id]?.state).toBe('ready');
    expect(after.figures[versions[1].id]?.stats.endpoints.map(({ state }) => state)).toEqual(['up']);
    const [windows] = await test.database.manager.query<{ count: string }[]>('select count(*) from windows where version_id = $1', [
      versions[1].id,
    ]);
    expect(windows?.count).toBe('0');
    expect(reports.every(({ outcome }) => (fault === null ? outcome === 'ok' : outcome !== 'ok'))).toBe(true);
  });

  it('gets the request as stable got it, under its own name, and as a stream whose words go nowhere', async () => {
    await mirrorBy(plenty);
    await post(at, path, { ...chat, temperature: 0.5, seed: 7 });
    await until(() => reports.length === 1, 'the report');
    expect(candidate.last.body).toMatchObject({ model: 'fake-model', messages: chat.messages, temperature: 0.5, seed: 7, stream: true });
    expect(reports[0]).toMatchObject({ outcome: 'ok', candidate: { outputTokens: 5, finishReason: 'stop' }, stable: { outputTokens: 5 } });
    expect(reports[0]?.candidate.nllMeanNats).toBeGreaterThan(0);
  });
});

describe('what mirrors leave behind', () => {
  const counted = async (): Promise<{ pairs: number; failures: number; lengths: number }> => {
    const windows = await new PairedWindowStore().ofRollout(test.database.manager, rolloutId);
    const sum = (of: (window: (typeof windows)[number]) => number): number => windows.reduce((total, one) => total + of(one), 0);
    return {
      pairs: sum(({ counts }) => counts.pairs),
      failures: sum(({ counts }) => counts.failures),
      lengths: sum(({ counts }) => [...counts.ratios.length.values()].reduce((total, count) => total + count, 0)),
    };
  };

  it('is in Postgres within seconds: a pair, a failure, and nothing of what a stop took back', async () => {
    const settled = async (): Promise<Awaited<ReturnType<typeof counted>>> => {
      const { ended } = (await checks()).shadow;
      await until(async () => {
        const { pairs, failures } = await counted();
        return pairs === ended['ok'] && failures === (ended['failed'] ?? 0) + (ended['timeout'] ?? 0);
      }, 'windows of all that has ended');
      return await counted();
    };
    await allEnded();
    const before = await settled();
    await post(at, path, chat);
    await until(() => reports.length === 1, 'a pair');
    candidate.fault = { kind: 'status', status: 500 };
    await post(at, path, chat);
    await until(() => reports.length === 2, 'a failure');
    const after = await settled();
    expect(after).toEqual({ pairs: before.pairs + 1, failures: before.failures + 1, lengths: before.lengths + 1 });
  });
});

describe('how much is mirrored', () => {
  it('is the planned share of requests, within four standard deviations', async () => {
    const [n, share] = [400, 0.25];
    await mirrorBy({ ...plenty, share });
    const before = (await checks()).shadow;
    for (let done = 0; done < n; done += 8) await Promise.all(Array.from({ length: 8 }, async () => await post(at, path, chat)));
    await allEnded();
    const after = (await checks()).shadow;
    expect(after.eligible - before.eligible).toBe(n);
    expect(Math.abs(after.drawn - before.drawn - n * share)).toBeLessThan(4 * Math.sqrt(n * share * (1 - share)));
  });

  it('never exceeds the number that may run, nor the tokens that may be spent', async () => {
    const policy = { share: 1, concurrentRequests: 2, tokensPerSecond: 10 };
    await mirrorBy(policy);
    candidate.tokenMs = 20;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, candidate.open);
    }, 2);
    const before = (await checks()).shadow;
    const startedAt = performance.now();
    for (let round = 0; round < 12; round += 1) await Promise.all(Array.from({ length: 4 }, async () => await post(at, path, chat)));
    await allEnded();
    clearInterval(watch);
    const after = (await checks()).shadow;
    const spent = after.tokens - before.tokens;
    expect(most).toBeLessThanOrEqual(2);
    expect(spent).toBeGreaterThan(0);
    expect(spent).toBeLessThanOrEqual(policy.tokensPerSecond * (10 + (performance.now() - startedAt) / 1_000));
    const refused = (reason: string): number => (after.skipped[reason] ?? 0) - (before.skipped[reason] ?? 0);
    expect(refused('tokens') + refused('concurrency')).toBe(48 - reports.length);
  });
});

describe('mirrors go first', () => {
  const hang = async (): Promise<void> => {
    await mirrorBy(plenty);
    candidate.fault = { kind: 'silent', after: 2 };
    await post(at, path, chat);
    await until(() => candidate.open === 1, 'a mirror to run');
  };

  it('when users wait at stable, and the engine is told', async () => {
    await hang();
    const { abandoned } = candidate;
    stable.tokenMs = 30;
    // Stable runs eight at a time.
    const answers = await Promise.all(Array.from({ length: 12 }, async () => await post(at, path, chat)));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
    await until(() => candidate.abandoned > abandoned, 'the candidate to see its client leave');
    expect(reports[0]).toMatchObject({ outcome: 'cancelled', reason: 'live' });
  });

  it('when the table mirrors no more', async () => {
    await hang();
    const { abandoned } = candidate;
    await mirrorBy(null);
    await until(() => candidate.abandoned > abandoned, 'the candidate to see its client leave');
    expect(reports[0]).toMatchObject({ outcome: 'cancelled', reason: 'table' });
  });

  it('when the gateway stops, which waits for none of them', async () => {
    await mirrorBy(plenty);
    const told: MirrorReport[] = [];
    const other = await aGateway(test.url, { gatewayId: 'stops', onMirrored: (report) => told.push(report) });
    await mirrorBy(plenty, other);
    candidate.fault = { kind: 'silent', after: 2 };
    await post({ ...at, url: other.url }, path, chat);
    await until(() => candidate.open === 1, 'a mirror to run');
    await other.remove();
    expect(told).toMatchObject([{ outcome: 'cancelled', reason: 'stopping' }]);
  });
});
