// The demo while its processes are killed: every outcome stays right, no request is lost beyond those on the killed engine, no alert doubles.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const usersAtOnce = 6;
const demoLimitMs = 420_000;

let dataDir: string;
let demo: ChildProcess;
let output = '';
let exited: Promise<number | null>;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'serin-fire-'));
  demo = spawn(
    process.execPath,
    ['--enable-source-maps', join(root, 'dist/apps/standalone/src/demo/main.js'), '--exit', '--data', dataDir],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    },
  );
  for (const stream of [demo.stdout, demo.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  exited = new Promise((done) => demo.once('exit', done));
});

afterAll(async () => {
  if (demo.exitCode === null && demo.signalCode === null) {
    demo.kill('SIGTERM');
    await exited;
  }
  await rm(dataDir, { recursive: true, force: true });
});

/** Waits for a line of the story; fails with what was told when the demo ends before. */
async function told(pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(output);
    if (found) return found;
    if (demo.exitCode !== null) throw new Error(`the demo ended before ${pattern}:\n${output}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function pidIn(pattern: RegExp): Promise<number> {
  return Number((await told(pattern))[1]);
}

/** The process of an engine, as its gateway reports it. */
async function enginePid(label: string): Promise<number> {
  const dashboard = (await told(/dashboard: (http:\S+)\/#key=/))[1];
  const key = (await readFile(join(dataDir, 'admin-key'), 'utf8')).trim();
  const get = async (path: string): Promise<unknown> =>
    await (await fetch(`${dashboard}${path}`, { headers: { authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(10_000) })).json();
  const version = (await get(`/api/v1/models/support/versions/${label}`)) as { id: string };
  const { items } = (await get('/api/v1/gateways')) as { items: { engines: Record<string, { pid: number | null }> }[] };
  const pid = items[0]?.engines[version.id]?.pid;
  if (!pid) throw new Error(`no engine of ${label} is running`);
  return pid;
}

function kill(pid: number): void {
  // Only pids that the demo itself told: never a guess.
  process.kill(pid, 'SIGKILL');
}

describe('the demo under kill -9', () => {
  it(
    'ends with the right outcome for every version, exit code 0',
    async () => {
      const controller = await pidIn(/controller pid (\d+)/);
      const postgres = await pidIn(/Postgres is up \(embedded, pid (\d+)\)/);
      const evaluator = await pidIn(/evaluator pid (\d+)/);
      await told(/Gate started/);
      kill(evaluator);
      await told(/v2 takes 50%/);
      kill(await enginePid('v1'));
      kill(controller);
      await told(/the controller died/);
      await told(/v4 takes 50%/);
      kill(postgres);
      expect(await exited, output).toBe(0);
    },
    demoLimitMs,
  );

  it('promoted the good version and took every bad one back for its own reason', () => {
    expect(output).toMatch(/v2 +promoted +proven no worse/);
    expect(output).toMatch(/v4 +rolled back +entropy up/);
    expect(output).toMatch(/v5 +rolled back +(?:length up|entropy down|shape|errors unfinished)/);
    expect(output).toMatch(/v6 +rolled back +(?:latency|ttft|interToken|errors unfinished)/);
    expect(output).toMatch(/v3 +stopped by the gate +quality/);
    expect(output).not.toContain('NOT AS EXPECTED');
  });

  it('delivered every alert exactly once with a valid signature', () => {
    for (const [label, type] of [['v2', 'promoted'], ...['v4', 'v5', 'v6', 'v3'].map((one) => [one, 'rolled_back'])]) {
      expect(output).toMatch(new RegExp(`${label} +rollout\\.${type} +once`));
    }
    expect(output).toMatch(/delivered twice: 0; invalid signatures: 0/);
  });

  it('lost no request beyond those in flight on the killed engine', () => {
    const lost = Number(/without an answer: (\d+)/.exec(output)?.[1]);
    expect(lost).toBeLessThanOrEqual(usersAtOnce);
  });
});
