// What a LoRA adapter file says of itself, and whether it was made for a given model. Pure.
import { fail, type Outcome, ok } from '#libs/base';
import { GgufFault } from './byte-source.js';
import { type Metadata, printable } from './metadata.js';
import type { TensorTable } from './tensors.js';

export interface LoraFacts {
  readonly name: string | null;
  /** Of the base model. */
  readonly architecture: string;
  /** The update is scaled by alpha / rank; 0: not scaled. */
  readonly alpha: number;
  /** Of the widest update. */
  readonly rank: number;
  readonly parameterCount: number;
  readonly tensorBytes: number;
  /** Base tensor -> [features in, features out] of its update. */
  readonly targets: ReadonlyMap<string, readonly [number, number]>;
}

/** Throws GgufFault when the file is an adapter that cannot work. */
export function loraFacts(metadata: Metadata, tensors: TensorTable, architecture: string): LoraFacts {
  const type = metadata.text('adapter.type');
  if (type !== 'lora')
    throw new GgufFault('unsupported', `its adapter type is ${printable(type ?? 'missing')}, only "lora" can be applied`);
  const alpha = metadata.number('adapter.lora.alpha');
  if (alpha === null) throw new GgufFault('absurd', 'adapter.lora.alpha is missing or not a number');
  const targets = new Map<string, readonly [number, number]>();
  let widest = 0;
  for (const name of tensors.keys()) {
    if (name.endsWith('_norm.weight')) continue;
    const half = /\.lora_[ab]$/.exec(name);
    if (!half) throw new GgufFault('absurd', `tensor ${printable(name)} is no half of an update`);
    const base = name.slice(0, half.index);
    const down = tensors.get(`${base}.lora_a`);
    const up = tensors.get(`${base}.lora_b`);
    if (!down || !up) throw new GgufFault('absurd', `${printable(base)} has only one half of its update`);
    const target = pairOf(base, down.shape, up.shape);
    widest = Math.max(widest, target.rank);
    targets.set(base, [target.featuresIn, target.featuresOut]);
  }
  if (widest === 0) throw new GgufFault('absurd', 'it holds no pair of lora_a and lora_b');
  const name = metadata.text('general.name');
  return {
    name: name === null ? null : printable(name),
    architecture,
    alpha,
    rank: widest,
    parameterCount: [...tensors.values()].reduce((sum, tensor) => sum + tensor.elements, 0),
    tensorBytes: [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0),
    targets,
  };
}

function pairOf(base: string, down: readonly number[], up: readonly number[]): { rank: number; featuresIn: number; featuresOut: number } {
  const [downIn = 0, downOut = 1] = down;
  const [upIn = 0, upOut = 1] = up;
  // The embedding's update is stored the other way round: both halves are as wide as the rank.
  const flipped = base.endsWith('token_embd.weight');
  const ranks = flipped ? [downIn, upIn] : [downOut, upIn];
  if (ranks[0] !== ranks[1]) throw new GgufFault('absurd', `the halves of ${printable(base)} have ranks ${ranks.join(' and ')}`);
  return { rank: upIn, featuresIn: flipped ? upOut : downIn, featuresOut: flipped ? downOut : upOut };
}

/** Fault: `gguf.adapter-mismatch`. `index` is the adapter's place in the spec. */
export function checkLora(
  adapter: LoraFacts,
  model: { readonly architecture: string; readonly shapes: ReadonlyMap<string, readonly number[]> },
  index = 0,
): Outcome<void> {
  const mismatch = (message: string): Outcome<void> =>
    fail({
      code: 'gguf.adapter-mismatch',
      message: `The adapter was not made for this model: ${message}.`,
      field: `spec.engine.lora.${index}.file`,
      remedy: 'Use an adapter that was trained on exactly this base model, or leave it out.',
    });
  if (adapter.architecture !== model.architecture)
    return mismatch(`its base is of architecture ${adapter.architecture}, the model is ${model.architecture}`);
  for (const [base, [featuresIn, featuresOut]] of adapter.targets) {
    const shape = model.shapes.get(base);
    if (!shape) return mismatch(`the model has no tensor ${printable(base)}`);
    if (shape[0] !== featuresIn || shape[1] !== featuresOut)
      return mismatch(`${printable(base)} is ${shape.join(' x ')} in the model and ${featuresIn} x ${featuresOut} in the adapter`);
  }
  return ok(undefined);
}
