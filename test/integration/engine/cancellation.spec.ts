// Clients that leave at any moment leave nothing behind: no sequence, no cell, no memory, and nobody else's answer changes.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeEngine } from '#libs/engine';
import { anEngine, chat, demoQuestions, generate, greedy } from '../../support/engine.js';
import { until } from '../../support/gateway.js';

let engine: NativeEngine;
const requests = 2_000;
const atOnce = 48;
const seed = 20_261_125;

beforeAll(async () => {
  engine = await anEngine({ parallel: 8 }, { limits: { pingEveryMs: 100 } });
}, 60_000);
afterAll(async () => await engine?.unload(0));

/** Asks and leaves after that many tokens; 0: at once, while it waits. True when the answer was whole before. */
async function askAndLeave(question: string, patienceTokens: number): Promise<boolean> {
  const leaving = new AbortController();
  const request = { id: 'spec', prompt: chat(question), sampling: { ...greedy, maxTokens: 24 } };
  let tokens = 0;
  try {
    if (patienceTokens === 0) setImmediate(() => leaving.abort());
    for await (const event of engine.generate(request, leaving.signal)) {
      if (event.type === 'end') return true;
      tokens += 1;
      if (tokens === patienceTokens) leaving.abort();
    }
    throw new Error('an answer without an end');
  } catch (error) {
    expect(error).toMatchObject({ fault: { code: 'engine.cancelled' } });
    return false;
  }
}

describe(`${requests} requests of which many are cancelled`, () => {
  it('leave no sequence, no queue and no memory behind, and the engine says what it said before', async () => {
    const questions = demoQuestions();
    const before = await generate(engine);
    // A first part fills what is kept on purpose: the caches of prompts and of token texts.
    const [warmUp = [], rest = []] = [
      fc.sample(fc.integer({ min: 0, max: 40 }), { numRuns: 200, seed }),
      fc.sample(fc.integer({ min: 0, max: 40 }), { numRuns: requests - 200, seed: seed + 1 }),
    ];
    let whole = 0;
    const run = async (patience: readonly number[]): Promise<void> => {
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let at = next++; at < patience.length; at = next++) {
          if (await askAndLeave(questions[at % questions.length] ?? '', patience[at] ?? 0)) whole += 1;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
    };
    const idle = async (): Promise<void> =>
      await until(async () => {
        const { running, queued } = engine.stats();
        return running === 0 && queued === 0;
      }, 'the engine to be idle');
    await run(warmUp);
    await idle();
    const settledBytes = engine.stats().rssBytes ?? 0;
    await run(rest);
    await idle();
    expect(whole).toBeGreaterThan(100);
    expect(whole).toBeLessThan(requests - 100);
    const { queuedTokens, kvCellsUsed, kvCellsTotal, crashes, rssBytes } = engine.stats();
    expect({ queuedTokens, crashes }).toEqual({ queuedTokens: 0, crashes: 0 });
    // Only prompts kept for reuse hold cells, at most one context for each sequence.
    expect(kvCellsUsed ?? Number.NaN).toBeLessThanOrEqual(kvCellsTotal ?? 0);
    expect((rssBytes ?? Number.NaN) / settledBytes).toBeLessThan(1.25);
    const after = await generate(engine);
    expect(after.texts).toEqual(before.texts);
  }, 180_000);
});
