// A version whose file was exchanged under it: same name, same version, other weights. No user tells; the heartbeat does.
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningEvaluator, startEvaluator } from '#apps/evaluator';
import { createLog } from '#libs/telemetry';
import { startTestController, type TestController } from '../../support/controller.js';
import { aGateway, aKey, demoModels, readyz, type TestGateway, until } from '../../support/gateway.js';

interface Beat {
  readonly verdict: string;
  readonly texts: number;
  readonly note: string;
  readonly nllRatio: number | null;
}

const file = 'served.gguf';
let models: string;
let controller: TestController;
let gateway: TestGateway;
let evaluator: RunningEvaluator;

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'serin-heartbeat-'));
  await copyFile(join(demoModels, 'demo-support-v1-stable.gguf'), join(models, file));
  controller = await startTestController();
  const key = await aKey(controller.test);
  const cases = (await readFile(new URL('../../../demo/testset.jsonl', import.meta.url), 'utf8')).split('\n').slice(0, 12).join('\n');
  await controller.call('POST', '/api/v1/test-sets', { name: 'frozen' });
  await controller.call('POST', '/api/v1/test-sets/frozen/versions', cases, { 'content-type': 'application/x-ndjson' });
  await controller.call('POST', '/api/v1/models', { name: 'support', defaultPlan: { gate: { testSet: 'frozen' } } });
  await controller.call('POST', '/api/v1/models/support/versions', {
    label: 'v1',
    spec: { engine: { kind: 'llama', file, contextSize: 512, parallel: 1 }, sampling: { maxTokens: 40 } },
  });
  await controller.call('PATCH', '/api/v1/models/support', { stable: 'v1' });
  gateway = await aGateway(controller.test.url, { modelRoots: [models] });
  evaluator = await startEvaluator({
    databaseUrl: controller.test.url,
    host: '127.0.0.1',
    port: 0,
    gatewayUrl: gateway.url,
    gatewayKey: key,
    log: createLog('test-evaluator', 'silent'),
  });
}, 120_000);

afterAll(async () => {
  await evaluator?.close();
  await gateway?.remove();
  await controller?.close();
  await rm(models, { recursive: true, force: true });
});

const beats = async (): Promise<Beat[]> =>
  (await controller.call<{ items: Beat[] }>('GET', '/api/v1/models/support/heartbeats')).body.items.toReversed();

/** The next beat that read something, asked for now. */
async function nextBeat(): Promise<Beat | undefined> {
  const before = (await beats()).length;
  await controller.test.database.manager.query('update watches set heartbeat_at = now(), heartbeat_until = null');
  await until(async () => (await beats()).length > before, 'a heartbeat', 60_000);
  return (await beats()).at(-1);
}

async function childPid(): Promise<number | null> {
  const [engine] = Object.values((await readyz(gateway.url)).checks.engines);
  return engine?.state === 'ready' ? engine.pid : null;
}

describe('the heartbeat', () => {
  it('freezes answers first, passes while the weights stay, and tells once when others serve under the same name', {
    timeout: 120_000,
  }, async () => {
    await until(async () => (await beats()).some(({ note }) => note.includes('texts frozen')), 'the first beat', 60_000);
    // A case that the model answers with nothing leaves no text.
    const frozen = Number(/^(\d+) texts frozen/.exec((await beats()).at(-1)?.note ?? '')?.[1]);
    expect(frozen).toBeGreaterThan(8);
    expect(await nextBeat()).toMatchObject({ verdict: 'pass', texts: frozen });

    const pid = await childPid();
    await copyFile(join(demoModels, 'demo-support-v4-rounded.gguf'), join(models, file));
    process.kill(pid ?? 0, 'SIGKILL');
    await until(async () => ![null, pid].includes(await childPid()), 'the engine to load the other file', 60_000);

    expect(await nextBeat()).toMatchObject({ verdict: 'fail', texts: frozen });
    expect(await nextBeat()).toMatchObject({ verdict: 'fail' });
    const told = await controller.test.database.manager.query<{ type: string }[]>(
      `select type from outbox where type like 'model.heartbeat%'`,
    );
    expect(told).toEqual([{ type: 'model.heartbeat_failed' }]);
    const watch = await controller.call<{ heartbeat: { failing: boolean } }>('GET', '/api/v1/models/support/watch');
    expect(watch.body.heartbeat.failing).toBe(true);
  });
});
