import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelFacts } from '../gguf/facts.js';
import { readGgufHeader } from '../gguf/header.js';
import { memoryFit } from './memory-fit.js';
import { type MemoryPlan, memoryNeed, usualPlan } from './memory-need.js';

const mib = 2 ** 20;
const unknown = { hostBytes: null, gpuBytes: null };
let demo: ModelFacts;

/** 32 layers of 100 MiB, 8 key-value heads of 128: 4 KiB of cache per cell and layer. */
let large: ModelFacts;

beforeAll(async () => {
  const header = await readGgufHeader(new URL('../../../../demo/models/demo-support-v1-stable.gguf', import.meta.url).pathname);
  if (!header.ok) throw new Error(header.fault.message);
  demo = header.value;
  large = {
    ...demo,
    blockCount: 32,
    embeddingLength: 4096,
    feedForwardLength: 14_336,
    kvHeadsByLayer: Array<number>(32).fill(8),
    keyLength: 128,
    valueLength: 128,
    vocabularySize: 128_000,
    tensorBytes: 4_200 * mib,
    weights: { byLayer: Array<number>(32).fill(100 * mib), outputBytes: 500 * mib, restBytes: 500 * mib },
  };
});

const planOf = (change: Partial<MemoryPlan> = {}): MemoryPlan => ({
  ...usualPlan({ contextSize: 4096, parallel: 4, gpuLayers: 0 }),
  ...change,
});

describe('the memory that a version needs', () => {
  it('is for the cache: layers x cells x key-value heads x (key + value) x bytes', () => {
    expect(memoryNeed(demo, planOf()).host.cache).toBe(4 * (4 * 4096) * 3 * (32 + 32) * 2);
    expect(memoryNeed(demo, planOf({ keyBytes: 1, valueBytes: 1 })).host.cache).toBe(4 * (4 * 4096) * 3 * (32 + 32));
    expect(memoryNeed(large, planOf()).host.cache).toBe(32 * 4 * 4096 * 4096);
  });

  it('counts whole blocks of 256 cells', () => {
    expect(memoryNeed(demo, planOf({ contextSize: 65, parallel: 1 })).host.cache).toBe(4 * 256 * 3 * 64 * 2);
  });

  it('counts no cache for a layer without attention', () => {
    const hybrid = { ...demo, kvHeadsByLayer: [3, 0, 0, 3] };
    expect(memoryNeed(hybrid, planOf()).host.cache * 2).toBe(memoryNeed(demo, planOf()).host.cache);
  });

  it('counts only the window of a layer that slides, unless the engine keeps all of it', () => {
    const sliding = { ...demo, slidingWindow: { positions: 128, layers: [true, true, true, false] } };
    const perCell = 3 * 64 * 2;
    expect(memoryNeed(sliding, planOf({ fullWindow: false })).host.cache).toBe((3 * 1024 + 4 * 4096) * perCell);
    expect(memoryNeed(sliding, planOf()).host.cache).toBe(memoryNeed(demo, planOf()).host.cache);
  });

  it('takes the weights once, also where the embedding serves as output', () => {
    expect(memoryNeed(demo, planOf()).host.weights).toBe(demo.tensorBytes);
    expect(memoryNeed(large, planOf()).host.weights).toBe(4_200 * mib);
  });

  it('moves the last layers and the output to the GPU, and the cache with its layer', () => {
    const need = memoryNeed(large, planOf({ gpuLayers: 9 }));
    expect(need.gpu.weights).toBe((8 * 100 + 500) * mib);
    expect(need.host.weights).toBe((24 * 100 + 500) * mib);
    expect(need.gpu.cache).toBe(8 * 4 * 4096 * 4096);
    expect(need.host.cache).toBe(24 * 4 * 4096 * 4096);
  });

  it('needs a second copy of an embedding that serves as output on the GPU', () => {
    const need = memoryNeed(demo, planOf({ gpuLayers: 999 }));
    const { byLayer, outputBytes, restBytes } = demo.weights;
    expect(need.gpu.weights).toBe(byLayer.reduce((sum, bytes) => sum + bytes, 0) + outputBytes);
    expect(need.host.weights).toBe(restBytes);
  });

  it('loses no weight and no cell wherever the layers lie, and is more for more of anything', () => {
    const plan = fc.record({
      contextSize: fc.integer({ min: 64, max: 100_000 }),
      parallel: fc.integer({ min: 1, max: 64 }),
      gpuLayers: fc.integer({ min: 0, max: 40 }),
    });
    fc.assert(
      fc.property(plan, (spec) => {
        const onHost = memoryNeed(large, usualPlan({ ...spec, gpuLayers: 0 }));
        const need = memoryNeed(large, usualPlan(spec));
        expect(need.host.weights + need.gpu.weights).toBe(onHost.host.weights);
        expect(need.host.cache + need.gpu.cache).toBe(onHost.host.cache);
        for (const more of [{ contextSize: spec.contextSize + 300 }, { parallel: spec.parallel + 1 }]) {
          const bigger = memoryNeed(large, usualPlan({ ...spec, ...more }));
          expect(bigger.hostBytes).toBeGreaterThanOrEqual(need.hostBytes);
          expect(bigger.gpuBytes).toBeGreaterThanOrEqual(need.gpuBytes);
        }
        expect(memoryNeed(large, usualPlan({ ...spec, gpuLayers: spec.gpuLayers + 1 })).gpuBytes).toBeGreaterThanOrEqual(need.gpuBytes);
      }),
    );
  });

  it('is not complete where the header does not tell all', () => {
    expect(memoryNeed(demo, planOf()).complete).toBe(true);
    expect(memoryNeed({ ...demo, kvHeadsByLayer: null }, planOf()).complete).toBe(false);
    expect(memoryNeed({ ...demo, recurrent: true }, planOf()).complete).toBe(false);
  });
});

describe('whether a version fits', () => {
  it('is yes, no, or not known, and what is not known refuses nothing', () => {
    const { hostBytes } = memoryNeed(demo, planOf());
    expect(memoryFit(demo, planOf(), { hostBytes, gpuBytes: null }).fits).toBe(true);
    expect(memoryFit(demo, planOf(), { hostBytes: hostBytes - 1, gpuBytes: null }).fits).toBe(false);
    expect(memoryFit(demo, planOf(), unknown)).toMatchObject({ fits: null, fault: null });
    expect(memoryFit(demo, planOf({ gpuLayers: 9 }), { hostBytes: 1e12, gpuBytes: null })).toMatchObject({ fits: null, fault: null });
    expect(memoryFit({ ...demo, recurrent: true }, planOf(), { hostBytes: 1e12, gpuBytes: null }).fits).toBeNull();
  });

  it('comes with a context and a number of sequences that would do', () => {
    const free = { hostBytes: 5_500 * mib, gpuBytes: null };
    const { fault } = memoryFit(large, planOf(), free);
    expect(fault).toMatchObject({ code: 'version.memory-short', field: 'spec.engine.contextSize' });
    expect(fault?.message).toMatch(/^The version needs \d+ MiB of memory \(weights 4200 MiB, cache 2048 MiB, .*\), 5500 MiB are free\.$/);
    const contextSize = Number(/contextSize to at most (\d+)/.exec(fault?.remedy ?? '')?.[1]);
    const parallel = Number(/parallel to at most (\d+)/.exec(fault?.remedy ?? '')?.[1]);
    expect(memoryFit(large, planOf({ contextSize }), free).fits).toBe(true);
    expect(memoryFit(large, planOf({ contextSize: contextSize + 1 }), free).fits).toBe(false);
    expect(memoryFit(large, planOf({ parallel }), free).fits).toBe(true);
    expect(memoryFit(large, planOf({ parallel: parallel + 1 }), free).fits).toBe(false);
  });

  it('or with the layers that the GPU can take', () => {
    const free = { hostBytes: 1e12, gpuBytes: 3_000 * mib };
    const { fault } = memoryFit(large, planOf({ gpuLayers: 33 }), free);
    expect(fault?.field).toBe('spec.engine.gpuLayers');
    const gpuLayers = Number(/gpuLayers to at most (\d+)/.exec(fault?.remedy ?? '')?.[1]);
    expect(memoryFit(large, planOf({ gpuLayers }), free).fits).toBe(true);
    expect(memoryFit(large, planOf({ gpuLayers: gpuLayers + 1 }), free).fits).toBe(false);
  });

  it('names the file when no setting helps', () => {
    const { fault } = memoryFit(large, planOf(), { hostBytes: 4_000 * mib, gpuBytes: null });
    expect(fault).toMatchObject({ field: 'spec.engine.file' });
    expect(fault?.remedy).toContain('stronger quantisation');
  });

  it('says "at least" where the header does not tell all', () => {
    const { fault } = memoryFit({ ...large, kvHeadsByLayer: null }, planOf(), { hostBytes: 4_000 * mib, gpuBytes: null });
    expect(fault?.message).toContain('needs at least');
  });
});
