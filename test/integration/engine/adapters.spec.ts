// LoRA adapters and embeddings of native versions.
import { describe, expect, it } from 'vitest';
import { anEngine, chat, generate, greedy } from '../../support/engine.js';
import { demoModels } from '../../support/gateway.js';

const adapter = `${demoModels}/demo-support-v1-formal-lora.gguf`;
const asked = { prompt: chat('How do I reset my password?'), sampling: { ...greedy, maxTokens: 60 } };

describe('a LoRA adapter', () => {
  it('changes what the version says, by its scale; scale 0 changes nothing', async () => {
    const [plain, formal, off] = await Promise.all([
      anEngine({ parallel: 1 }),
      anEngine({ parallel: 1, lora: [{ file: adapter, scale: 1 }] }),
      anEngine({ parallel: 1, lora: [{ file: adapter, scale: 0 }] }),
    ]);
    const [said, formally, unchanged] = [await generate(plain, asked), await generate(formal, asked), await generate(off, asked)];
    expect(formally.texts[0]).not.toBe(said.texts[0]);
    expect(unchanged.texts).toEqual(said.texts);
    await Promise.all([plain.unload(0), formal.unload(0), off.unload(0)]);
  }, 60_000);

  it('that is no adapter fails the version, with the reason', async () => {
    await expect(anEngine({ parallel: 1, lora: [{ file: `${demoModels}/demo-support-v1-stable.gguf`, scale: 1 }] })).rejects.toMatchObject({
      fault: { code: 'engine.load-failed' },
    });
  }, 60_000);
});

describe('embeddings', () => {
  it('are unit vectors, the same for the same text, closer for closer texts', async () => {
    const engine = await anEngine({ parallel: 2 });
    const inputs = ['Please cancel my order', 'Please cancel my order', 'Please cancel my orders', 'Das Wetter ist heute schön'];
    const { vectors, inputTokens } = await engine.embed({ id: 'e', inputs }, AbortSignal.timeout(10_000));
    const product = (a: number, b: number): number =>
      (vectors[a] ?? []).reduce((sum, value, index) => sum + value * (vectors[b]?.[index] ?? 0), 0);
    expect(inputTokens).toBeGreaterThan(12);
    expect(product(0, 0)).toBeCloseTo(1, 5);
    expect(product(0, 1)).toBeCloseTo(1, 5);
    expect(product(0, 2)).toBeGreaterThan(product(0, 3));
    await expect(engine.embed({ id: 'e', inputs: [''.padEnd(5_000, 'x ')] }, AbortSignal.timeout(10_000))).rejects.toMatchObject({
      fault: { code: 'engine.bad-request' },
    });
    await engine.unload(0);
  }, 60_000);
});
