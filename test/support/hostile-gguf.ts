// Model files that are wrong, each in one named way, made from a sound one: nothing here is a real attack, all of it has stopped some loader.
import {
  f32,
  type GgufContent,
  type GgufTensorData,
  readGguf,
  text,
  texts,
  u32,
  u64,
  withEntry,
  withoutEntry,
  withTensor,
  writeGguf,
} from './gguf-editor.js';
import { uniforms } from './random.js';

/**
 * What must become of it: `header` is refused before any process is started for it, `child` fails in its own process, `either` may also be
 * served, when what is wrong does no harm; `limit` computes without end and fails when the patience with a loading process does.
 */
export type HostileEnd = 'header' | 'child' | 'either' | 'limit';

export interface HostileFile {
  readonly name: string;
  readonly end: HostileEnd;
  readonly bytes: Buffer;
}

const types = { u32: 4, i32: 5, f32: 6, text: 8, array: 9, u64: 10 } as const;
const huge = 2n ** 62n;
const tokens = 'tokenizer.ggml.tokens';
const template = 'tokenizer.chat_template';

/** The model with its first layer only: small enough to be written a hundred times. */
export function oneLayer(model: Buffer): GgufContent {
  const whole = readGguf(model);
  return withEntry(
    { ...whole, tensors: whole.tensors.filter(({ name }) => !/^blk\.[1-9]/.test(name)) },
    'llama.block_count',
    types.u32,
    u32(1),
  );
}

/** `model` is a sound GGUF file of the llama architecture, as the demo's are. Same input, same files. */
export function hostileFiles(model: Buffer): HostileFile[] {
  const sound = oneLayer(model);
  return [
    ...refusedAsBytes(sound),
    ...refusedByMetadata(sound),
    ...refusedByTensors(sound),
    ...refusedByChild(sound),
    ...doubtful(sound),
    ...endless(sound),
  ];
}

const of = (end: HostileEnd, files: Readonly<Record<string, Buffer>>): HostileFile[] =>
  Object.entries(files).map(([name, bytes]) => ({ name, end, bytes }));

/** Bytes of the header before its first tensor's name, and up to the data. */
function borders(whole: Buffer, content: GgufContent): { readonly tensors: number; readonly data: number } {
  const first = content.tensors[0]?.name ?? '';
  const dataBytes = content.tensors.reduce((sum, { data }) => sum + Math.ceil(data.length / 32) * 32, 0);
  return { tensors: whole.indexOf(text(first)), data: whole.length - dataBytes };
}

function refusedAsBytes(sound: GgufContent): HostileFile[] {
  const whole = writeGguf(sound);
  const { tensors, data } = borders(whole, sound);
  return of('header', {
    'an empty file': Buffer.alloc(0),
    'three bytes': Buffer.from('GGU'),
    'a picture': Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(4_000, 7)]),
    'a page of zeros': Buffer.alloc(65_536),
    'a version of the future': writeGguf(sound, { version: 99 }),
    'the other byte order': writeGguf(sound, { version: 0x03000000 }),
    'cut in the counts': whole.subarray(0, 20),
    'cut in the first key': whole.subarray(0, 40),
    'cut in the vocabulary': whole.subarray(0, Math.floor(tensors / 2)),
    'cut in the tensor table': whole.subarray(0, Math.floor((tensors + data) / 2)),
    'cut before the data': whole.subarray(0, data),
    'cut in the data': whole.subarray(0, Math.floor((data + whole.length) / 2)),
    'without its last block': whole.subarray(0, whole.length - 64),
    'more tensors than any model': writeGguf(sound, { tensorCount: huge }),
    'one tensor more than it has': writeGguf(sound, { tensorCount: BigInt(sound.tensors.length + 1) }),
    'more keys than any model': writeGguf(sound, { keyCount: huge }),
    'all counts at their largest': writeGguf(sound, { tensorCount: 2n ** 64n - 1n, keyCount: 2n ** 64n - 1n }),
  });
}

function refusedByMetadata(sound: GgufContent): HostileFile[] {
  const number = (key: string, value: number): Buffer => writeGguf(withEntry(sound, `llama.${key}`, types.u32, u32(value)));
  const value = (key: string, type: number, bytes: Buffer): Buffer => writeGguf(withEntry(sound, key, type, bytes));
  return of('header', {
    'no architecture': writeGguf(withoutEntry(sound, 'general.architecture')),
    'an architecture that clears the terminal': value('general.architecture', types.text, text('\u001b[2Jllama')),
    'a name of 2^62 bytes': value('general.name', types.text, u64(huge)),
    'a name of two million bytes': value('general.name', types.text, text('x'.repeat(2_000_000))),
    'an array of 2^61 numbers': value('general.tags', types.array, Buffer.concat([u32(types.u32), u64(2n ** 61n)])),
    'arrays in arrays': value('general.tags', types.array, Buffer.concat([u32(types.array), u64(1), u32(types.array), u64(1)])),
    'a value of no type': value('general.tags', 77, Buffer.alloc(0)),
    'a key twice': writeGguf({ ...sound, entries: [...sound.entries, ...sound.entries.slice(0, 1)] }),
    'no layers': number('block_count', 0),
    'more layers than the library has room for': number('block_count', 513),
    'more layers than tensors': number('block_count', 400),
    'no embedding': number('embedding_length', 0),
    'an embedding of another width': number('embedding_length', 256),
    'a context of nothing': number('context_length', 0),
    'heads that do not divide': number('attention.head_count_kv', 4),
    'heads beyond counting': number('attention.head_count', 0xffffffff),
    'an alignment of nothing': value('general.alignment', types.u32, u32(0)),
    'a vocabulary of other length': value(tokens, types.array, texts(['a', 'b', 'c'])),
    'token types for three tokens': value(
      'tokenizer.ggml.token_type',
      types.array,
      Buffer.concat([u32(types.i32), u64(3), u32(1), u32(1), u32(1)]),
    ),
    'an adapter in place of a model': value('general.type', types.text, text('adapter')),
    'a part of a split model': value('split.count', 2, Buffer.from([3, 0])),
  });
}

function refusedByTensors(sound: GgufContent): HostileFile[] {
  const embedding = 'token_embd.weight';
  const changed = (change: Partial<GgufTensorData> | null, name = embedding): Buffer => writeGguf(withTensor(sound, name, change));
  const [first] = sound.tensors;
  return of('header', {
    'no embedding tensor': changed(null),
    'a tensor larger than any memory': changed({ shape: [2 ** 40, 2 ** 40] }),
    'a tensor of nothing': changed({ shape: [192, 0] }),
    'a tensor of nine dimensions': changed({ shape: [192, 1, 1, 1, 1, 1, 1, 1, 2048] }),
    'a tensor of no type': changed({ type: 99 }),
    'rows of part blocks': changed({ shape: [48, 8192], type: 12 }),
    'a tensor twice': writeGguf({ ...sound, tensors: first ? [...sound.tensors, first] : [] }),
    'a tensor over another': writeGguf(sound, { offsets: { 1: 0n } }),
    'a tensor beyond the end': writeGguf(sound, { offsets: { 1: 2n ** 40n } }),
    'a tensor out of line': writeGguf(sound, { offsets: { 1: 7n } }),
  });
}

/** 16-bit floats of one value. */
function halves(tensor: string, sound: GgufContent, bits: number): Buffer {
  const { data } = sound.tensors.find(({ name }) => name === tensor) ?? { data: Buffer.alloc(0) };
  const filled = Buffer.alloc(data.length);
  for (let at = 0; at < filled.length; at += 2) filled.writeUInt16LE(bits, at);
  return writeGguf(withTensor(sound, tensor, { data: filled }));
}

function refusedByChild(sound: GgufContent): HostileFile[] {
  return of('child', {
    'weights that are no numbers': halves('blk.0.attn_q.weight', sound, 0x7e00),
    'an embedding that is no number': halves('token_embd.weight', sound, 0x7e00),
    'weights without bound': halves('blk.0.ffn_down.weight', sound, 0x7c00),
    'a layer without its queries': writeGguf(withTensor(sound, 'blk.0.attn_q.weight', null)),
    'a projection of another shape': writeGguf(withTensor(sound, 'blk.0.ffn_up.weight', { shape: [512, 192] })),
    'an architecture nobody knows': writeGguf({
      ...sound,
      entries: withEntry(sound, 'general.architecture', types.text, text('unheard')).entries.map((entry) => ({
        ...entry,
        key: entry.key.replace(/^llama\./, 'unheard.'),
      })),
    }),
    'a tokenizer nobody knows': writeGguf(withEntry(sound, 'tokenizer.ggml.model', types.text, text('unheard'))),
    'a rotation wider than a head': writeGguf(withEntry(sound, 'llama.rope.dimension_count', types.u32, u32(4_096))),
  });
}

function doubtful(sound: GgufContent): HostileFile[] {
  const { tensors, data } = borders(writeGguf(sound), sound);
  const uniform = uniforms(7);
  const flipped = (from: number, to: number, count: number): Buffer => {
    const bytes = Buffer.from(writeGguf(sound));
    for (let left = count; left > 0; left -= 1) {
      const at = from + Math.floor(uniform() * (to - from));
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(uniform() * 8));
    }
    return bytes;
  };
  return of('either', {
    'flipped bits in the weights': flipped(data, writeGguf(sound).length, 3),
    'flipped bits in the tensor table': flipped(tensors, data, 3),
    'flipped bits in the keys': flipped(24, 600, 3),
    'flipped bits in the vocabulary': flipped(2_000, tensors, 20),
    'no tokenizer': writeGguf({ ...sound, entries: sound.entries.filter(({ key }) => !key.startsWith('tokenizer.')) }),
    'no chat template': writeGguf(withoutEntry(sound, template)),
    'a chat template that does not end': writeGguf(withEntry(sound, template, types.text, text('{% for m in messages %}{{ m'))),
    'a chat template that calls itself': writeGguf(
      withEntry(sound, template, types.text, text('{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}{{ messages[0].content }}')),
    ),
    'an end token outside the vocabulary': writeGguf(withEntry(sound, 'tokenizer.ggml.eos_token_id', types.u32, u32(4_000_000_000))),
    'merges of nothing': writeGguf(withEntry(sound, 'tokenizer.ggml.merges', types.array, texts(['', ' ', 'x']))),
    'a norm that divides by nothing': writeGguf(withEntry(sound, 'llama.attention.layer_norm_rms_epsilon', types.f32, f32(Number.NaN))),
  });
}

function endless(sound: GgufContent): HostileFile[] {
  return of('limit', {
    'a chat template of a billion turns': writeGguf(
      withEntry(sound, template, types.text, text('{% for i in range(1000000000) %}x{% endfor %}{{ messages[0].content }}')),
    ),
  });
}
