import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodes, run } from '#apps/cli';
import { type RunningController, startController } from '#apps/controller';
import { systemClock } from '#libs/base';
import { allScopes } from '#libs/contract';
import { ApiKeyStore, GatewayStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
let controller: RunningController;
let key: string;
let dir: string;

async function start(port = 0): Promise<RunningController> {
  return await startController({
    databaseUrl: test.url,
    host: '127.0.0.1',
    port,
    dashboardDir: null,
    secretKey: 'c1'.repeat(32),
    log: createLog('test-cli', 'silent'),
  });
}

beforeAll(async () => {
  test = await createTestDatabase();
  dir = await mkdtemp(join(tmpdir(), 'serin-cli-'));
  ({ key } = await new ApiKeyStore().create(test.database.manager, { name: 'operator', scopes: allScopes }));
  controller = await start();
});
afterAll(async () => {
  await controller.close();
  await test.drop();
  await rm(dir, { recursive: true });
});

interface Ended {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

async function serin(
  args: readonly string[],
  more: { env?: Record<string, string>; onLine?: (line: string) => void } = {},
): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(args, {
    env: { SERIN_CONTROLLER_URL: controller.url, SERIN_API_KEY: key, ...more.env },
    clock: systemClock,
    out: (line) => {
      out.push(line);
      more.onLine?.(line);
    },
    err: (line) => void err.push(line),
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

async function api(method: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${controller.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}

/** A model with v1 in service and v2 registered. */
async function aModel(): Promise<string> {
  const name = `model-${randomUUID()}`;
  await api('POST', '/models', { name });
  for (const label of ['v1', 'v2']) {
    await api('POST', `/models/${name}/versions`, { label, spec: { engine: { kind: 'llama', file: `${name}-${label}.gguf` } } });
  }
  await api('PATCH', `/models/${name}`, { stable: 'v1' });
  return name;
}

async function aRollout(): Promise<string> {
  const started = await serin(['rollout', 'start', await aModel(), 'v2', '--json']);
  expect(started.code).toBe(exitCodes.ok);
  return (JSON.parse(started.out[0] ?? '') as { id: string }).id;
}

describe('serin rollout', () => {
  it('starts a rollout, lists it and tells its state and events', async () => {
    const model = await aModel();
    const started = await serin(['rollout', 'start', model, 'v2']);
    expect(started).toMatchObject({ code: exitCodes.ok, err: [] });
    const id = /^Rollout (\S+): v2 is waiting to start beside v1/.exec(started.out[0] ?? '')?.[1] ?? '';
    const listed = await serin(['rollout', 'list', '--model', model]);
    expect(listed.out[0]).toMatch(/^ID +MODEL +STABLE +CANDIDATE +PHASE +WEIGHT +AGE$/);
    expect(listed.out[1]).toMatch(new RegExp(`^${id} +${model} +v1 +v2 +pending +0% +\\d+s$`));
    const got = await serin(['rollout', 'get', id]);
    expect(got.out.join('\n')).toContain('v2 is waiting to start beside v1');
    expect(got.out.at(-1)).toContain('Rollout of v2 beside v1 created by key:operator.');
  });

  it('starts by a plan written in YAML', async () => {
    const file = join(dir, 'plan.yaml');
    await writeFile(
      file,
      `# nights and weekends are quiet
steps:
  - weightPct: 5
  - { weightPct: 50, approval: true }
startAt: 2100-01-01T08:00:00Z
freeze:
  - { days: [fri, sat, sun], from: "18:00", to: "08:00" }
`,
    );
    const started = await serin(['rollout', 'start', await aModel(), 'v2', '--plan', file, '--json']);
    expect(started).toMatchObject({ code: exitCodes.ok, err: [] });
    const { plan } = JSON.parse(started.out[0] ?? '') as { plan: Record<string, unknown> };
    expect(plan).toMatchObject({
      steps: [
        { weightPct: 5, approval: false },
        { weightPct: 50, approval: true },
      ],
      startAt: Date.parse('2100-01-01T08:00:00Z'),
      freeze: [{ days: ['fri', 'sat', 'sun'], from: '18:00', to: '08:00' }],
    });
  });

  it('prices a plan, and ends with 4 where nothing could be decided', async () => {
    const priced = await serin(['rollout', 'price', await aModel(), 'v2']);
    expect(priced.code).toBe(exitCodes.refused);
    expect(priced.out.join('\n')).toContain('This plan is not expected to decide.');
    expect(priced.out.join('\n')).toContain('Start when there is traffic');
  });

  it('makes the first version of a model stable at once and says so', async () => {
    const name = `model-${randomUUID()}`;
    await api('POST', '/models', { name });
    await api('POST', `/models/${name}/versions`, { label: 'v1', spec: { engine: { kind: 'llama', file: `${name}.gguf` } } });
    const started = await serin(['rollout', 'start', name, 'v1']);
    expect(started.code).toBe(exitCodes.ok);
    expect(started.out[0]).toContain('v1 is the first version');
  });

  it('rolls back with a reason and ends with 0 when nothing serves the candidate any more', async () => {
    const id = await aRollout();
    const rolled = await serin(['rollout', 'rollback', id, '--reason', 'answers are wrong']);
    expect(rolled).toMatchObject({ code: exitCodes.ok, err: [] });
    expect(rolled.out[0]).toContain('Rolled back: key:operator asked for it: "answers are wrong"');
    expect(await serin(['rollout', 'rollback', id, '--reason', 'once more'])).toMatchObject({
      code: exitCodes.ok,
      out: rolled.out,
      err: [],
    });
    const late = await serin(['rollout', 'promote', id, '--reason', 'too late']);
    expect(late.code).toBe(exitCodes.refused);
    expect(late.err.join('\n')).toContain('has ended (rolledBack)');
  });

  it('does not call a rollback done while a live gateway serves by an older table', async () => {
    const id = await aRollout();
    const gateway = { id: 'behind', bootId: randomUUID(), incarnation: null, generation: 0, engines: {}, droppedWindows: 0, address: null };
    const beats = setInterval(() => void new GatewayStore().report(test.database.manager, gateway), 500);
    await new GatewayStore().report(test.database.manager, gateway);
    try {
      const rolled = await serin(['rollout', 'rollback', id, '--reason', 'answers are wrong', '--wait', '2']);
      expect(rolled.code).toBe(exitCodes.notInTime);
      expect(rolled.err.join('\n')).toContain('Waiting for gateways to confirm: behind.');
    } finally {
      clearInterval(beats);
      await new GatewayStore().remove(test.database.manager, gateway.id, gateway.bootId);
    }
  });

  it('watches to the end, each decision once, and the exit code is the verdict', async () => {
    const id = await aRollout();
    const watching = serin(['rollout', 'get', id, '--watch', '--timeout', '60']);
    expect((await serin(['rollout', 'pause', id, '--reason', 'looking at it'])).code).toBe(exitCodes.ok);
    expect((await serin(['rollout', 'resume', id, '--reason', 'looked at it'])).code).toBe(exitCodes.ok);
    expect((await serin(['rollout', 'abort', id, '--reason', 'no longer wanted'])).code).toBe(exitCodes.ok);
    const { code, out } = await watching;
    expect(code).toBe(exitCodes.aborted);
    const told = out.map((line) => /(created|Paused|Resumed|Aborted)/.exec(line)?.[1]);
    expect(told).toEqual(['created', 'Paused', 'Resumed', 'Aborted', 'Aborted']);
  });

  it('ends a watch at a pause when asked to', async () => {
    const id = await aRollout();
    await serin(['rollout', 'pause', id, '--reason', 'looking at it']);
    const { code, out } = await serin(['rollout', 'get', id, '-w', '--exit-on-pause', '--json', '--timeout', '60']);
    expect(code).toBe(exitCodes.paused);
    expect(out.map((line) => Object.keys(JSON.parse(line) as object)[0])).toEqual(['event', 'event', 'rollout']);
  });

  it('gives a watch up after the given time', async () => {
    expect((await serin(['rollout', 'get', await aRollout(), '-w', '--timeout', '1'])).code).toBe(exitCodes.notInTime);
  });

  it('waits through a restart of the controller while it watches', async () => {
    const id = await aRollout();
    let sawFirst = (): void => undefined;
    const first = new Promise<void>((done) => {
      sawFirst = done;
    });
    const watching = serin(['rollout', 'get', id, '-w', '--timeout', '90'], { onLine: () => sawFirst() });
    await first;
    const { port } = new URL(controller.url);
    await controller.close();
    await systemClock.sleep(2_500);
    controller = await start(Number(port));
    await serin(['rollout', 'abort', id, '--reason', 'after the restart']);
    const { code, err } = await watching;
    expect(code).toBe(exitCodes.aborted);
    expect(err[0]).toContain('does not answer');
    expect(err.at(-1)).toBe('The controller answers again.');
  });
});

describe('serin says what is wrong and what to do', () => {
  it('with an unknown or unfit key', async () => {
    const unknown = await serin(['rollout', 'list'], { env: { SERIN_API_KEY: `sk-serin-${'x'.repeat(43)}` } });
    expect(unknown.code).toBe(exitCodes.notAuthorised);
    expect(unknown.err.join('\n')).toContain('not known, revoked or expired');
    const reader = await new ApiKeyStore().create(test.database.manager, { name: 'reader', scopes: ['rollouts:read'] });
    const refused = await serin(['rollout', 'abort', await aRollout(), '--reason', 'no longer wanted'], {
      env: { SERIN_API_KEY: reader.key },
    });
    expect(refused.code).toBe(exitCodes.notAuthorised);
    expect(refused.err.join('\n')).toContain('rollouts:rollback');
  });

  it('with what does not exist', async () => {
    const rollout = await serin(['rollout', 'get', randomUUID()]);
    expect(rollout.code).toBe(exitCodes.notFound);
    const version = await serin(['rollout', 'start', await aModel(), 'v9']);
    expect(version.code).toBe(exitCodes.notFound);
    expect(version.err.join('\n')).toContain('has no version "v9"');
  });

  it('with a command that does not fit the state', async () => {
    const promoted = await serin(['rollout', 'promote', await aRollout(), '--reason', 'in a hurry']);
    expect(promoted.code).toBe(exitCodes.refused);
    expect(promoted.err.join('\n')).toContain('refused');
  });

  it('with a plan that is none, before anything is started', async () => {
    const model = await aModel();
    const file = join(dir, 'plan.json');
    await writeFile(file, JSON.stringify({ steps: [{ weightPct: 500 }], stepz: 1 }));
    const started = await serin(['rollout', 'start', model, 'v2', '--plan', file]);
    expect(started.code).toBe(exitCodes.unexpected);
    expect(started.err.join('\n')).toContain('steps[0].weightPct');
    expect(started.err.join('\n')).toContain('stepz');
    expect((await serin(['rollout', 'list', '--model', model, '--json'])).out).toEqual(['{"items":[]}']);
  });

  it('with a file that cannot be read as YAML, naming the line, and with aliases that unfold without end', async () => {
    const file = join(dir, 'broken.yaml');
    await writeFile(file, 'bakeS: 5\nsteps:\n  - weightPct: [5\n');
    const broken = await serin(['rollout', 'start', 'any', 'v2', '--plan', file]);
    expect(broken.code).toBe(exitCodes.unexpected);
    expect(broken.err.join('\n')).toMatch(/broken\.yaml is neither YAML nor JSON: .* at line 4/);
    const bomb = [
      'a: &a [1,1,1,1,1,1,1,1]',
      ...[...'bcdefgh'].map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[at]}`)}]`),
    ];
    await writeFile(file, bomb.join('\n'));
    const bombed = await serin(['rollout', 'start', 'any', 'v2', '--plan', file]);
    expect(bombed.code).toBe(exitCodes.unexpected);
    expect(bombed.err.join('\n')).toContain('cannot be read');
  });

  it('with a plan that the controller does not accept', async () => {
    const file = join(dir, 'blind.json');
    const off = { enabled: false };
    await writeFile(file, JSON.stringify({ checks: { entropy: off, length: off, errors: off, latency: off } }));
    const started = await serin(['rollout', 'start', await aModel(), 'v2', '--plan', file]);
    expect(started.code).toBe(exitCodes.refused);
    expect(started.err.join('\n')).toMatch(/check/);
  });

  it('with a controller that is not there', async () => {
    const { code, err } = await serin(['rollout', 'list'], { env: { SERIN_CONTROLLER_URL: 'http://127.0.0.1:9' } });
    expect(code).toBe(exitCodes.unreachable);
    expect(err.join('\n')).toContain('SERIN_CONTROLLER_URL');
  });

  it('with wrong usage', async () => {
    expect((await serin(['rollout', 'rollback', randomUUID()])).code).toBe(exitCodes.unexpected);
    const short = await serin(['rollout', 'pause', randomUUID(), '--reason', 'x']);
    expect(short.code).toBe(exitCodes.unexpected);
    expect(short.err.join('\n')).toContain('3 to 2000 characters');
    const help = await serin(['rollout', 'get', '--help']);
    expect(help.code).toBe(exitCodes.ok);
    expect(help.out.join('\n')).toContain('10  the rollout was rolled back');
  });
});

describe('serin key', () => {
  it('makes a key whose text is all of standard output, lists it, and revokes it', async () => {
    const name = `k-${randomUUID()}`;
    const made = await serin([
      'key',
      'create',
      name,
      '--scope',
      'models:read',
      'keys:write',
      '--requests-per-minute',
      '60',
      '--days',
      '30',
    ]);
    expect(made.code).toBe(exitCodes.ok);
    expect(made.out).toEqual([expect.stringMatching(/^sk-serin-[A-Za-z0-9_-]{43}$/)]);
    expect(made.err.join('\n')).toMatch(/may models:read, keys:write, until \d{4}-/);
    const listed = (await serin(['keys', 'list'])).out.find((line) => line.includes(name)) ?? '';
    expect(listed).toMatch(/^\S+ +\S+ +sk-serin-\S{5}\.\.\. +active +60 +- +- +\d+s +models:read keys:write$/);
    const [id = ''] = listed.split(' ');
    const own = { env: { SERIN_API_KEY: made.out[0] ?? '' } };
    const revoked = await serin(['key', 'revoke', id], own);
    expect(revoked).toMatchObject({ code: exitCodes.ok, out: [`Key "${name}" is revoked.`] });
    expect(revoked.err).toEqual(['That was the key you use: the next command needs another one.']);
    expect((await serin(['key', 'revoke', id], own)).code).toBe(exitCodes.notAuthorised);
    expect((await serin(['key', 'list'])).out.join('\n')).not.toContain(name);
    expect((await serin(['key', 'list', '--all'])).out.join('\n')).toMatch(new RegExp(`${name} .*revoked`));
  });

  it('says which scope is none, and which field the controller refuses', async () => {
    const scope = await serin(['key', 'create', 'x', '--scope', 'everything']);
    expect(scope.code).toBe(exitCodes.unexpected);
    expect(scope.err.join('\n')).toContain('inference:invoke');
    const refused = await serin(['key', 'create', 'two words']);
    expect(refused.code).toBe(exitCodes.refused);
    expect(refused.err.join('\n')).toContain('/name');
  });
});
