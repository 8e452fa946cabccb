// Several upstreams behind one version, on real sockets: who takes the requests, what a client sees when one fails, what waits and what is refused.
import { afterEach, describe, expect, it } from 'vitest';
import { EngineError, type EngineFault, type GenerateRequest, HttpEngine, type HttpEngineOptions } from '#libs/engine';
import { FakeUpstream } from '../support/upstream.js';

const cleanUp: (() => Promise<void>)[] = [];
const never = new AbortController().signal;

afterEach(async () => {
  for (const leave of cleanUp.splice(0).reverse()) await leave();
});

async function aFleet(
  count: number,
  options: Partial<HttpEngineOptions> = {},
): Promise<{ readonly upstreams: FakeUpstream[]; readonly engine: HttpEngine }> {
  const upstreams = Array.from({ length: count }, () => new FakeUpstream('vllm'));
  const [baseUrl = '', ...endpoints] = await Promise.all(upstreams.map(async (one) => await one.start()));
  cleanUp.push(async () => void (await Promise.all(upstreams.map(async (one) => await one.stop()))));
  const engine = new HttpEngine({ baseUrl, endpoints, model: 'fake-model', ...options });
  cleanUp.push(async () => await engine.unload(0));
  await engine.load(never);
  for (const one of upstreams) one.requests.length = 0;
  return { upstreams, engine };
}

const request: GenerateRequest = {
  id: 'spec',
  prompt: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
  sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 16, stop: [] },
};

/** Null: the answer was whole. */
async function ask(engine: HttpEngine, more: Partial<GenerateRequest> = {}, signal = never): Promise<EngineFault | null> {
  try {
    for await (const event of engine.generate({ ...request, ...more }, signal)) if (event.type === 'end') return null;
  } catch (error) {
    if (error instanceof EngineError) return error.fault;
    throw error;
  }
  throw new Error('the answer has no end');
}

const generations = (upstream: FakeUpstream): number => upstream.requests.filter(({ method }) => method === 'POST').length;

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

describe('several endpoints', () => {
  it('share the requests', async () => {
    const { upstreams, engine } = await aFleet(3);
    for (const one of upstreams) one.tokenMs = 5;
    expect(await Promise.all(Array.from({ length: 30 }, async () => await ask(engine)))).toEqual(Array(30).fill(null));
    expect(upstreams.map(generations)).toEqual([10, 10, 10]);
  });

  it('one that answers 500s is left out after five failures, and no client sees them', async () => {
    const { upstreams, engine } = await aFleet(2);
    const [bad, good] = upstreams as [FakeUpstream, FakeUpstream];
    bad.fault = { kind: 'status', status: 500 };
    for (let n = 0; n < 60; n += 1) expect(await ask(engine)).toBeNull();
    expect(generations(bad)).toBe(5);
    expect(generations(good)).toBe(60);
    expect(engine.stats().endpoints?.map(({ state }) => state)).toEqual(['ejected', 'up']);
    bad.fault = null;
    await until(() => engine.stats().endpoints?.[0]?.state === 'trial', 'the end of the ejection');
    while (engine.stats().endpoints?.[0]?.state !== 'up') expect(await ask(engine)).toBeNull();
  });

  it('one that is killed under load costs no client an answer that had not begun', async () => {
    const { upstreams, engine } = await aFleet(3);
    await upstreams[0]?.stop();
    const faults = [];
    for (let n = 0; n < 60; n += 1) faults.push(await ask(engine));
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
    await until(() => engine.stats().endpoints?.[0]?.state === 'down', 'the dead one to be found dead');
    expect(engine.stats().state).toBe('ready');
  });

  it('one that hangs is found, and what hangs there is asked of another', async () => {
    const { upstreams, engine } = await aFleet(2);
    const [bad] = upstreams as [FakeUpstream];
    bad.fault = { kind: 'silent', after: 'request' };
    bad.hangs = true;
    expect(await Promise.all(Array.from({ length: 8 }, async () => await ask(engine)))).toEqual(Array(8).fill(null));
    expect(engine.stats().endpoints?.[0]?.state).toBe('down');
  });

  it('when none is left the version is not served, and is again when one is back', async () => {
    const { upstreams, engine } = await aFleet(2);
    for (const one of upstreams) one.hangs = true;
    for (const one of upstreams) one.fault = { kind: 'cut', after: 'request' };
    await ask(engine);
    await until(() => engine.stats().state === 'unreachable', 'the version to be out');
    expect((await ask(engine))?.code).toBe('engine.upstream-unreachable');
    for (const one of upstreams) {
      one.hangs = false;
      one.fault = null;
    }
    await until(() => engine.stats().state === 'ready', 'the version to be back');
    expect(await ask(engine)).toBeNull();
  });
});

describe('before the endpoints', () => {
  it('a burst beyond their limits waits here and not with them, and what would be late is refused with a time', async () => {
    const { upstreams, engine } = await aFleet(2, { maxConcurrent: 4 });
    for (const one of upstreams) one.tokenMs = 10;
    let open = 0;
    const watch = setInterval(() => {
      open = Math.max(open, ...upstreams.map((one) => one.open));
    }, 1);
    const ticket = { tenant: 'a', priority: 'live', deadlineMs: 1_000 } as const;
    const faults: (EngineFault | null)[] = [];
    for (let n = 0; n < 40; n += 1) faults.push(await ask(engine, { ticket }));
    const many = await Promise.all(Array.from({ length: 300 }, async () => await ask(engine, { ticket })));
    clearInterval(watch);
    expect(faults.every((fault) => fault === null)).toBe(true);
    const refused = many.filter((fault) => fault !== null);
    expect(open).toBeLessThanOrEqual(4);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(300);
    for (const fault of refused) {
      expect(fault.code).toBe('engine.overloaded');
      expect(fault.retryAfterMs).toBeGreaterThan(0);
    }
  });

  it('a request that waits leaves at once when it is cancelled', async () => {
    const { upstreams, engine } = await aFleet(1, { maxConcurrent: 1 });
    const [upstream] = upstreams as [FakeUpstream];
    upstream.tokenMs = 100;
    const first = ask(engine);
    await until(() => upstream.open === 1, 'the first to run');
    const leaving = new AbortController();
    const second = ask(engine, {}, leaving.signal);
    await until(() => engine.stats().queued === 1, 'the second to wait');
    leaving.abort();
    expect((await second)?.code).toBe('engine.cancelled');
    expect(engine.stats().queued).toBe(0);
    expect(await first).toBeNull();
    expect(generations(upstream)).toBe(1);
  });
});
