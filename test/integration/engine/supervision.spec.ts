// An engine child that is killed, stopped or too large costs what it had begun, and nothing else.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { NativeEngine } from '#libs/engine';
import { anEngine, chat, generate, greedy } from '../../support/engine.js';
import { demoModels, until } from '../../support/gateway.js';

const limits = { pingEveryMs: 100, hungAfterMs: 4_000 };
const engines: NativeEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map(async (engine) => await engine.unload(0)));
});

async function started(...given: Parameters<typeof anEngine>): Promise<NativeEngine> {
  const engine = await anEngine(...given);
  engines.push(engine);
  return engine;
}

const long = { prompt: chat('Write on and on.'), sampling: { ...greedy, maxTokens: 300 } };
const looping = { model: 'demo-support-v5-collapsed.gguf' };
/** A process that ended but was not yet waited for does not run. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const pidOf = (engine: NativeEngine): number => engine.stats().pid ?? Number.NaN;

describe('an engine child', () => {
  it('that is killed fails what it had begun, keeps what waited, and comes back', async () => {
    // Longer than a busy machine may take to start it again: a second death would be one of the test.
    const engine = await started({ ...looping, parallel: 1 }, { limits: { ...limits, hungAfterMs: 20_000 } });
    const other = await started({ parallel: 1 }, { limits });
    const pid = pidOf(engine);
    const running = generate(engine, long);
    await until(async () => engine.stats().running === 1, 'the first request to run');
    const waiting = [generate(engine), generate(engine)];
    await until(async () => engine.stats().queued === 2, 'two requests to wait');
    process.kill(pid, 'SIGKILL');
    await expect(running).rejects.toMatchObject({ fault: { code: 'engine.crashed', retryable: true } });
    for (const answer of await Promise.all(waiting)) expect(answer.reasons).toHaveLength(1);
    expect((await generate(other)).texts).toEqual(['2026-12-11+2=2026-12-13']);
    expect(engine.stats()).toMatchObject({ state: 'ready', crashes: 1 });
    expect(pidOf(engine)).not.toBe(pid);
  });

  it('that is stopped by a signal is killed and replaced', async () => {
    const engine = await started({ parallel: 2 }, { limits });
    const pid = pidOf(engine);
    process.kill(pid, 'SIGSTOP');
    await until(async () => engine.stats().crashes === 1 && engine.stats().state === 'ready', 'a new child');
    expect((await generate(engine)).texts).toEqual(['2026-12-11+2=2026-12-13']);
    expect(() => process.kill(pid, 0)).toThrow();
  });

  it('that holds more memory than its limit is killed, and given up when that repeats', async () => {
    const engine = await started({ parallel: 1, memoryLimitMb: 64 }, { limits: { ...limits, toleratedCrashes: 1, firstBackOffMs: 10 } });
    await until(async () => engine.stats().state === 'failed', 'the version to be given up');
    expect(engine.stats().reason).toMatch(/died 2 times .* its limit is 64 MiB/);
    await expect(generate(engine)).rejects.toMatchObject({ fault: { code: 'engine.not-loaded' } });
  });

  it('ends with the process that started it, even when it takes no turn of its own any more', async () => {
    const host = fork(new URL('./host.mjs', import.meta.url), [`${demoModels}/demo-support-v1-stable.gguf`], { execArgv: [] });
    const [pid] = (await once(host, 'message')) as [number];
    // As one that computes without end: a closed channel tells it nothing.
    process.kill(pid, 'SIGSTOP');
    const gone = once(host, 'exit');
    host.kill('SIGKILL');
    await gone;
    await until(async () => !runs(pid), 'the engine to end');
  });

  it('gives all its memory back when its version leaves', async () => {
    const engine = await started({ parallel: 1 });
    const pid = pidOf(engine);
    await engine.unload(1_000);
    expect(() => process.kill(pid, 0)).toThrow();
  });

  it('finishes what it has begun before its version leaves', async () => {
    const engine = await started({ parallel: 1 });
    const answer = generate(engine);
    await until(async () => engine.stats().state === 'ready', 'the engine');
    await engine.unload(10_000);
    expect((await answer).texts).toEqual(['2026-12-11+2=2026-12-13']);
  });
});

describe('where our calls into the library do not fit', () => {
  it('node-llama-cpp evaluates instead, with the same words and the same entropy', async () => {
    const [own, library] = [await started({ parallel: 2 }), await started({ parallel: 2 }, { trial: { evaluation: 'library' } })];
    expect(own.capabilities().evaluation).toContain('own decode loop');
    expect(library.capabilities()).toMatchObject({ entropy: 'exact', constraints: false, embeddings: false });
    const [ours, theirs] = [await generate(own), await generate(library)];
    expect(theirs.texts).toEqual(ours.texts);
    const entropies = (answer: typeof ours): number[] =>
      answer.tokens.map(({ uncertainty }) => (uncertainty.kind === 'exact' ? uncertainty.entropyNats : Number.NaN));
    expect(entropies(theirs)).toEqual(entropies(ours).map((entropy) => expect.closeTo(entropy, 4)));
  });
});
