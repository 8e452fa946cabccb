import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GgufFault } from './byte-source.js';
import { type ModelFacts, modelFacts } from './facts.js';
import { readGgufHeader } from './header.js';
import { Metadata, tokensKey } from './metadata.js';
import { checkModel } from './soundness.js';
import type { TensorInfo, TensorTable } from './tensors.js';

const demo = (file: string): string => new URL(`../../../../demo/models/${file}`, import.meta.url).pathname;

type Value = number | string | readonly number[];

function metadataOf(values: Readonly<Record<string, Value>>, tokens?: number): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) {
    if (typeof value === 'object') metadata.set(key, { length: value.length, numbers: value, hash: null });
    else metadata.set(key, value);
  }
  if (tokens !== undefined) metadata.set(tokensKey, { length: tokens, numbers: null, hash: 'a'.repeat(64) });
  return metadata;
}

function tensorsOf(shapes: Readonly<Record<string, readonly number[]>>): TensorTable {
  return new Map(
    Object.entries(shapes).map(([name, shape]): [string, TensorInfo] => {
      const elements = shape.reduce((product, length) => product * length, 1);
      return [name, { shape, elements, type: 'F16', bytes: 2 * elements }];
    }),
  );
}

const twoLayers = { 'token_embd.weight': [64, 100], 'blk.0.attn_q.weight': [64, 64], 'blk.1.attn_q.weight': [64, 64] };
const base: Readonly<Record<string, Value>> = {
  'llama.context_length': 512,
  'llama.embedding_length': 64,
  'llama.attention.head_count': 8,
  'llama.attention.head_count_kv': 2,
};

function factsOf(
  values: Readonly<Record<string, Value>> = {},
  shapes: Readonly<Record<string, readonly number[]>> = twoLayers,
): ModelFacts {
  return modelFacts(metadataOf({ ...base, ...values }, 100), tensorsOf(shapes), 'llama', 2);
}

function refusal(values: Readonly<Record<string, Value>>, shapes: Readonly<Record<string, readonly number[]>> = twoLayers): string | null {
  const metadata = metadataOf({ ...base, ...values }, 100);
  const tensors = tensorsOf(shapes);
  try {
    checkModel(modelFacts(metadata, tensors, 'llama', 2), metadata, tensors);
    return null;
  } catch (error) {
    if (error instanceof GgufFault) return error.message;
    throw error;
  }
}

describe('the facts of a model file', () => {
  it('tell of the demo model what its maker wrote', async () => {
    const header = await readGgufHeader(demo('demo-support-v6-slow.gguf'));
    expect(header).toMatchObject({
      ok: true,
      value: {
        architecture: 'llama',
        name: 'Demo Support v6',
        blockCount: 16,
        contextLength: 1024,
        embeddingLength: 192,
        feedForwardLength: 512,
        headCount: 6,
        kvHeadsByLayer: Array(16).fill(3),
        keyLength: 32,
        valueLength: 32,
        vocabularySize: 2048,
        tokenizerModel: 'gpt2',
        tokenizerPreset: 'gpt-2',
        hasChatTemplate: true,
        chatTemplateHash: 'f91864928fccff928b3068ca784db6275e655e400ccbb28f61d92c0090caf3b3',
        fileType: 'F16',
        quantisationSummary: 'F16 59%, Q4_0 40%, F32 0%',
        parameterCount: 6_887_616,
        rope: { dimensionCount: 32, frequencyBase: 10_000, scaling: null },
        slidingWindow: null,
        experts: null,
        recurrent: false,
      },
    });
  });

  it('are null, not zero, where the file does not say', () => {
    expect(modelFacts(metadataOf({}), tensorsOf(twoLayers), 'llama', 2)).toMatchObject({
      name: null,
      contextLength: null,
      embeddingLength: null,
      headCount: null,
      kvHeadsByLayer: null,
      keyLength: null,
      vocabularySize: null,
      vocabularyHash: null,
      tokenizerModel: null,
      chatTemplateHash: null,
      fileType: null,
    });
  });

  it('take a head for as long as its share of the embedding unless the file says otherwise', () => {
    expect(factsOf()).toMatchObject({ keyLength: 8, valueLength: 8 });
    expect(factsOf({ 'llama.attention.key_length': 24, 'llama.attention.value_length': 16 })).toMatchObject({
      keyLength: 24,
      valueLength: 16,
    });
  });

  it('know key-value heads layer by layer', () => {
    expect(factsOf({ 'llama.attention.head_count_kv': [4, 0] }).kvHeadsByLayer).toEqual([4, 0]);
    const { 'llama.attention.head_count_kv': _, ...withoutKv } = base;
    expect(modelFacts(metadataOf(withoutKv), tensorsOf(twoLayers), 'llama', 2).kvHeadsByLayer).toEqual([8, 8]);
  });

  it('place every byte of the weights exactly once', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 3 });
    const name = fc.oneof(
      fc.tuple(fc.nat({ max: 5 }), fc.constantFrom('attn_q', 'ffn_up')).map(([layer, part]) => `blk.${layer}.${part}.weight`),
      fc.constantFrom('output.weight', 'output_norm.weight', 'rope_freqs.weight'),
    );
    fc.assert(
      fc.property(fc.dictionary(name, shape), (shapes) => {
        const { weights, tensorBytes, parameterCount } = factsOf({}, shapes);
        const hasOutput = 'output.weight' in shapes;
        const layers = weights.byLayer.reduce((sum, bytes) => sum + bytes, 0);
        expect(layers + weights.restBytes + (hasOutput ? weights.outputBytes : 0)).toBe(tensorBytes);
        expect(tensorBytes).toBe(2 * parameterCount);
      }),
    );
  });

  it('count the embedding as output where the model uses it for both', () => {
    expect(factsOf().weights.outputBytes).toBe(2 * 64 * 100);
    expect(factsOf({}, { ...twoLayers, 'output.weight': [64, 10] }).weights.outputBytes).toBe(2 * 64 * 10);
  });
});

describe('a sliding window', () => {
  const windowOf = (architecture: string, values: Readonly<Record<string, Value>>) => {
    const named = Object.fromEntries(Object.entries(values).map(([key, value]) => [`${architecture}.attention.${key}`, value]));
    return modelFacts(metadataOf(named), tensorsOf({}), architecture, 6).slidingWindow;
  };

  it('leaves out the last layer of each period', () => {
    expect(windowOf('gemma3', { sliding_window: 512 })).toEqual({ positions: 512, layers: [true, true, true, true, true, false] });
    expect(windowOf('gemma2', { sliding_window: 4096 })?.layers).toEqual([true, false, true, false, true, false]);
  });

  it('or the first, or what the file lists', () => {
    expect(windowOf('smallthinker', { sliding_window: 64 })?.layers).toEqual([false, true, true, true, false, true]);
    expect(windowOf('gpt-oss', { sliding_window: 128, sliding_window_pattern: [1, 1, 0, 0, 1, 1] })?.layers).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
    ]);
    expect(windowOf('gemma3', { sliding_window: 512, sliding_window_pattern: 3 })?.layers).toEqual([true, true, false, true, true, false]);
  });

  it('is not believed of an architecture that is run without one', () => {
    expect(windowOf('phi3', { sliding_window: 2048 })).toBeNull();
    expect(windowOf('gemma3', {})).toBeNull();
  });
});

describe('a model file that does not fit together', () => {
  it.each([
    ['a length of nothing', { 'llama.embedding_length': 0 }, twoLayers, 'llama.embedding_length is 0'],
    ['half a position', { 'llama.context_length': 0.5 }, twoLayers, 'llama.context_length is 0.5'],
    ['a key longer than any', { 'llama.attention.key_length': 2 ** 20 }, twoLayers, 'llama.attention.key_length is 1048576'],
    ['heads that do not divide', { 'llama.attention.head_count_kv': 3 }, twoLayers, 'layer 0 has 8 heads on 3 key-value heads'],
    ['negative heads', { 'llama.attention.head_count': -8 }, twoLayers, 'llama.attention.head_count is -8'],
    ['too few scores', { 'tokenizer.ggml.scores': [0, 0] }, twoLayers, 'tokenizer.ggml.scores has 2 items for 100 tokens'],
    ['no embedding', {}, { 'blk.0.x': [4], 'blk.1.x': [4] }, 'the tensor token_embd.weight is missing'],
    ['a wide embedding', {}, { ...twoLayers, 'token_embd.weight': [65, 100] }, 'token_embd.weight is 65 wide, the embedding length is 64'],
    [
      'a short embedding',
      {},
      { ...twoLayers, 'token_embd.weight': [64, 99] },
      'token_embd.weight has 99 rows, the vocabulary has 100 tokens',
    ],
    ['an empty layer', {}, { 'token_embd.weight': [64, 100], 'blk.0.x': [4] }, 'layer 1 of 2 has no tensors (the file has 2)'],
  ] as const)('is refused for %s', (_, values, shapes, message) => {
    expect(refusal(values as Readonly<Record<string, Value>>, shapes)).toBe(message);
  });

  it('is refused for nothing else', () => {
    expect(refusal({})).toBeNull();
    expect(refusal({ 'llama.feed_forward_length': 0, 'llama.attention.head_count_kv': [8, 0] })).toBeNull();
  });
});
