import { describe, expect, it } from 'vitest';
import { type GgufHeader, type LoraHeader, readGgufHeader, readLoraHeader } from './header.js';
import { checkLora, loraFacts } from './lora.js';
import { Metadata } from './metadata.js';
import type { TensorTable } from './tensors.js';

const demo = (file: string): string => new URL(`../../../../demo/models/${file}`, import.meta.url).pathname;

async function adapter(): Promise<LoraHeader> {
  const header = await readLoraHeader(demo('demo-support-v1-formal-lora.gguf'), 2);
  if (!header.ok) throw new Error(header.fault.message);
  return header.value;
}

async function model(): Promise<GgufHeader> {
  const header = await readGgufHeader(demo('demo-support-v1-stable.gguf'));
  if (!header.ok) throw new Error(header.fault.message);
  return header.value;
}

function read(shapes: Readonly<Record<string, readonly number[]>>, values: Readonly<Record<string, string | number>> = {}) {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries({ 'adapter.type': 'lora', 'adapter.lora.alpha': 16, ...values })) metadata.set(key, value);
  const tensors: TensorTable = new Map(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, elements: 1, type: 'F32', bytes: 4 }]),
  );
  return () => loraFacts(metadata, tensors, 'llama');
}

describe('a LoRA adapter file', () => {
  it('is recognised with its base, rank, scale and targets', async () => {
    const header = await adapter();
    expect(header).toMatchObject({
      architecture: 'llama',
      alpha: 16,
      rank: 8,
      parameterCount: 101_376,
      name: 'Demo Support formal tone adapter',
    });
    expect(header.targets.size).toBe(24);
    expect(header.targets.get('blk.0.ffn_down.weight')).toEqual([512, 192]);
  });

  it('fits the model it was made for', async () => {
    expect(checkLora(await adapter(), await model()).ok).toBe(true);
  });

  it('is refused as a model, and a model as an adapter, each with the field to use instead', async () => {
    const asModel = await readGgufHeader(demo('demo-support-v1-formal-lora.gguf'));
    expect(asModel).toMatchObject({ ok: false, fault: { code: 'gguf.unsupported', field: 'spec.engine.file' } });
    const asAdapter = await readLoraHeader(demo('demo-support-v1-stable.gguf'), 2);
    expect(asAdapter).toMatchObject({ ok: false, fault: { code: 'gguf.unsupported', field: 'spec.engine.lora.2.file' } });
  });

  it('is refused for a base of another kind, without a tensor, or of another size', async () => {
    const { architecture, shapes } = await model();
    const fault = async (base: Parameters<typeof checkLora>[1]) => {
      const checked = checkLora(await adapter(), base, 1);
      return checked.ok ? null : [checked.fault.code, checked.fault.field, checked.fault.message];
    };
    const said = (message: string) => [
      'gguf.adapter-mismatch',
      'spec.engine.lora.1.file',
      `The adapter was not made for this model: ${message}.`,
    ];
    expect(await fault({ architecture: 'gemma3', shapes })).toEqual(said('its base is of architecture llama, the model is gemma3'));
    const fewer = new Map([...shapes].filter(([name]) => name !== 'blk.3.ffn_up.weight'));
    expect(await fault({ architecture, shapes: fewer })).toEqual(said('the model has no tensor blk.3.ffn_up.weight'));
    const wider = new Map([...shapes, ['blk.0.attn_q.weight', [256, 192]] as const]);
    expect(await fault({ architecture, shapes: wider })).toEqual(
      said('blk.0.attn_q.weight is 256 x 192 in the model and 192 x 192 in the adapter'),
    );
  });

  it('is refused when it cannot work at all', () => {
    const pair = { 'a.lora_a': [64, 8], 'a.lora_b': [8, 32] };
    expect(read(pair)().targets.get('a')).toEqual([64, 32]);
    expect(read(pair, { 'adapter.type': 'ia3' })).toThrow('only "lora" can be applied');
    expect(read(pair, { 'adapter.lora.alpha': Number.NaN })).toThrow('adapter.lora.alpha is missing or not a number');
    expect(read({ 'a.lora_a': [64, 8] })).toThrow('a has only one half of its update');
    expect(read({ ...pair, 'a.lora_b': [4, 32] })).toThrow('the halves of a have ranks 8 and 4');
    expect(read({ 'a.weight': [64] })).toThrow('tensor a.weight is no half of an update');
    expect(read({ 'a_norm.weight': [64] })).toThrow('no pair');
  });

  it('may change the embedding, whose halves are stored the other way round', () => {
    const facts = read({ 'token_embd.weight.lora_a': [8, 2048], 'token_embd.weight.lora_b': [8, 192] })();
    expect([facts.rank, facts.targets.get('token_embd.weight')]).toEqual([8, [192, 2048]]);
  });
});
