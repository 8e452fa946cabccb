// Hostile model files in a real gateway: each ends as failed (or, harmless, ready), none delays or ends anything else.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServedVersion } from '#libs/rollout';
import { aGateway, aKey, aVersion, demoModels, publish, readyz, type TestGateway, until, untilServing } from '../support/gateway.js';
import { type HostileFile, hostileFiles } from '../support/hostile-gguf.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

/** Files that reach a process of their own are loaded so many at a time: what fails is tried again, and two cores are few. */
const atOnce = 4;
const settleLimitMs = 150_000;

let test: TestDatabase;
let gateway: TestGateway;
let folder: string;
let files: readonly HostileFile[];
let key: string;
const good = aVersion('good', { engine: { kind: 'llama', file: 'demo-support-v1-stable.gguf', contextSize: 256, parallel: 2 } });

/** Asks the good version again and again; what was not answered is kept. */
const asked = { count: 0, failures: [] as string[] };
const stopAsking = new AbortController();
let asking: Promise<void>;

async function ask(): Promise<void> {
  asked.count += 1;
  try {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'support', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 }),
      signal: AbortSignal.timeout(30_000),
    });
    const body = await response.text();
    if (response.status !== 200 || response.headers.get('x-serin-version') !== 'good') asked.failures.push(`${response.status}: ${body}`);
  } catch (error) {
    asked.failures.push(String(error));
  }
}

beforeAll(async () => {
  test = await createTestDatabase();
  key = await aKey(test);
  folder = await mkdtemp(join(tmpdir(), 'serin-hostile-'));
  files = hostileFiles(await readFile(join(demoModels, 'demo-support-v1-stable.gguf')));
  await Promise.all(files.map(async ({ bytes }, index) => await writeFile(join(folder, `${index}.gguf`), bytes)));
  const generation = await serve([]);
  gateway = await aGateway(test.url, { modelRoots: [demoModels, folder] });
  await untilServing(gateway.url, generation);
  asking = (async () => {
    while (!stopAsking.signal.aborted) {
      await ask();
      await new Promise((done) => setTimeout(done, 100));
    }
  })();
});

afterAll(async () => {
  stopAsking.abort();
  await asking;
  await gateway?.remove();
  await test.drop();
  await rm(folder, { recursive: true, force: true });
});

/** What only the patience with a loading process ends is loaded beside all the others: it takes that long, and a core. */
const beside: ServedVersion[] = [];

function versionOf(file: HostileFile): ServedVersion {
  return aVersion(file.name, { engine: { kind: 'llama', file: `${files.indexOf(file)}.gguf`, contextSize: 128, parallel: 1 } }, 'hostile');
}

async function serve(versions: readonly ServedVersion[]): Promise<number> {
  return await publish(test, { routes: [{ model: 'support', stable: good.id, rollout: null }], versions: [good, ...beside, ...versions] });
}

interface End {
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
}

/** Registers the files as versions of their own and tells how each ended. */
async function endsOf(some: readonly HostileFile[]): Promise<End[]> {
  const versions = some.map(versionOf);
  return await settled(versions, await serve(versions));
}

async function settled(versions: readonly ServedVersion[], generation: number): Promise<End[]> {
  let ends: End[] = [];
  await until(
    async () => {
      // On a crowded machine one look may come too late; that the gateway answers is what the good version's requests show.
      const seen = await readyz(gateway.url).catch(() => null);
      if (!seen) return false;
      const { status, checks } = seen;
      expect(status).toBe(200);
      if (checks.routingTable?.generation !== generation) return false;
      ends = versions.map(({ id, label }) => {
        const { state = 'loading', reason = null } = checks.engines[id] ?? {};
        return { name: label, state, reason };
      });
      return ends.every(({ state }) => state === 'failed' || state === 'ready');
    },
    `an end of ${versions.map(({ label }) => label).join(', ')}`,
    settleLimitMs,
  );
  return ends;
}

async function endsOneAfterAnother(some: readonly HostileFile[]): Promise<End[]> {
  const ends: End[] = [];
  for (let at = 0; at < some.length; at += atOnce) ends.push(...(await endsOf(some.slice(at, at + atOnce))));
  return ends;
}

describe('a gateway that is given hostile model files', () => {
  it('has more than thirty kinds of them to fear', () => {
    expect(new Set(files.map(({ name }) => name)).size).toBe(files.length);
    expect(files.length).toBeGreaterThan(60);
  });

  it('refuses by the header, with what is wrong, whatever the header shows', async () => {
    const ends = await endsOf(files.filter(({ end }) => end === 'header'));
    for (const { name, state, reason } of ends) {
      expect([state, reason], name).toEqual(['failed', expect.stringMatching(/^gguf\.(not-gguf|truncated|absurd|split|unsupported): /)]);
    }
  });

  it('begins with what computes without end, and goes on beside it', async () => {
    beside.push(...files.filter(({ end }) => end === 'limit').map(versionOf));
    expect(beside.length).toBeGreaterThan(0);
    await serve([]);
  });

  it('fails in their own process those that only the library or the smoke token can find out', async () => {
    const ends = await endsOneAfterAnother(files.filter(({ end }) => end === 'child'));
    for (const { name, state, reason } of ends) expect([state, reason], name).toEqual(['failed', expect.stringMatching(/\S{3}/)]);
    for (const name of ['weights that are no numbers', 'an embedding that is no number', 'weights without bound'])
      expect(ends.find((end) => end.name === name)?.reason, name).toMatch(/not finite/);
  });

  it('fails or serves, but never hangs on, what may be harmless', async () => {
    const ends = await endsOneAfterAnother(files.filter(({ end }) => end === 'either'));
    for (const { name, state, reason } of ends) {
      expect(['failed', 'ready'], name).toContain(state);
      expect(state === 'ready' || (reason ?? '').length > 3, `${name} has a reason`).toBe(true);
    }
  });

  it('fails what computes without end', async () => {
    const ends = await settled(beside, await serve([]));
    for (const { name, state, reason } of ends) expect([state, reason], name).toEqual(['failed', expect.stringMatching(/\S{3}/)]);
  });

  it('answered every request to the good version all along, from one process that never died', async () => {
    const { checks } = await readyz(gateway.url);
    expect(asked.failures).toEqual([]);
    expect(asked.count).toBeGreaterThan(20);
    expect(checks.engines[good.id]).toMatchObject({ state: 'ready', crashes: 0 });
  });
});
