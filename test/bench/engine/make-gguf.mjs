// Writes llama models with random weights: real enough for every engine to load and to be timed on, and nothing is downloaded.
import { open, rename, rm } from 'node:fs/promises';
import { chatTemplate, specialTokens, vocabulary } from './make-vocabulary.mjs';

const alignment = 32;
const blockWeights = 32;
/** Bytes per write; bounds the memory whatever the size of the model. */
const chunkBytes = 4 * 2 ** 20;
/** Spread of the logits. Entropy is then about ln(vocabulary) - 4.5 nats: neither certain nor uniform. */
const logitDeviation = 3;

/** `deviation`: of the integers that stand in a block when its bytes are random. */
const blockTypes = {
  q4_0: { ggmlType: 2, fileType: 2, bytes: 18, deviation: 4.61 },
  q8_0: { ggmlType: 8, fileType: 7, bytes: 34, deviation: 73.5 },
};
const f32Type = 0;

const valueType = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };

/**
 * The same shape and seed give the same bytes. Writes beside the target and renames, so that a killed run leaves no half model.
 * @param {string} file
 * @param {{name: string, width: number, layers: number, heads: number, kvHeads: number, inner: number, contextSize: number,
 *   vocabularySize: number, weights: 'q4_0' | 'q8_0', seed: number}} shape
 */
export async function makeGguf(file, shape) {
  const partial = `${file}.partial-${process.pid}`;
  const out = await open(partial, 'wx');
  try {
    const tensors = tensorsOf(shape);
    const head = header(shape, tensors);
    await out.write(head);
    await out.write(Buffer.alloc(-head.length & (alignment - 1)));
    for (const [index, tensor] of tensors.entries()) await writeTensor(out, tensor, randomWords(shape.seed * 1_000 + index));
    await out.sync();
    await out.close();
    await rename(partial, file);
  } catch (error) {
    await out.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

/** Each matrix keeps the variance of what it multiplies, so activations stay finite at any depth. */
function tensorsOf({ width, layers, heads, kvHeads, inner, vocabularySize, weights }) {
  const kvWidth = (width / heads) * kvHeads;
  const type = blockTypes[weights];
  const ones = (name) => ({ name, shape: [width], type: null, bytes: width * 4 });
  const matrix = (name, columns, rows, deviation = 1 / Math.sqrt(columns), silentRows = 0) => ({
    name,
    shape: [columns, rows],
    type,
    scale: deviation / type.deviation,
    bytes: ((columns * rows) / blockWeights) * type.bytes,
    // These tokens get logit 0, far below the best of the others: no answer ever ends early.
    silentBytes: ((columns * silentRows) / blockWeights) * type.bytes,
  });
  const all = [matrix('token_embd.weight', width, vocabularySize, 1)];
  for (let layer = 0; layer < layers; layer += 1) {
    const at = `blk.${layer}`;
    all.push(
      ones(`${at}.attn_norm.weight`),
      matrix(`${at}.attn_q.weight`, width, width),
      matrix(`${at}.attn_k.weight`, width, kvWidth),
      matrix(`${at}.attn_v.weight`, width, kvWidth),
      matrix(`${at}.attn_output.weight`, width, width),
      ones(`${at}.ffn_norm.weight`),
      matrix(`${at}.ffn_gate.weight`, width, inner),
      matrix(`${at}.ffn_up.weight`, width, inner),
      matrix(`${at}.ffn_down.weight`, inner, width),
    );
  }
  const output = matrix('output.weight', width, vocabularySize, logitDeviation / Math.sqrt(width), specialTokens.length);
  return [...all, ones('output_norm.weight'), output];
}

function header(shape, tensors) {
  const { pieces, scores, types } = vocabulary(shape.vocabularySize);
  const entries = [
    entry('general.architecture', 'string', 'llama'),
    entry('general.name', 'string', shape.name),
    entry('general.file_type', 'u32', blockTypes[shape.weights].fileType),
    entry('general.quantization_version', 'u32', 2),
    entry('llama.block_count', 'u32', shape.layers),
    entry('llama.context_length', 'u32', shape.contextSize),
    entry('llama.embedding_length', 'u32', shape.width),
    entry('llama.feed_forward_length', 'u32', shape.inner),
    entry('llama.attention.head_count', 'u32', shape.heads),
    entry('llama.attention.head_count_kv', 'u32', shape.kvHeads),
    entry('llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5),
    entry('llama.rope.dimension_count', 'u32', shape.width / shape.heads),
    entry('llama.vocab_size', 'u32', shape.vocabularySize),
    entry('tokenizer.ggml.model', 'string', 'llama'),
    entry('tokenizer.ggml.pre', 'string', 'default'),
    list('tokenizer.ggml.tokens', 'string', pieces),
    list('tokenizer.ggml.scores', 'f32', scores),
    list('tokenizer.ggml.token_type', 'i32', types),
    entry('tokenizer.ggml.bos_token_id', 'u32', 1),
    entry('tokenizer.ggml.eos_token_id', 'u32', 2),
    entry('tokenizer.ggml.unknown_token_id', 'u32', 0),
    entry('tokenizer.ggml.add_bos_token', 'bool', true),
    entry('tokenizer.chat_template', 'string', chatTemplate),
  ];
  let offset = 0;
  const infos = tensors.map(({ name, shape: sizes, type, bytes }) => {
    const info = Buffer.concat([text(name), u32(sizes.length), ...sizes.map(u64), u32(type?.ggmlType ?? f32Type), u64(offset)]);
    offset += Math.ceil(bytes / alignment) * alignment;
    return info;
  });
  return Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length), ...entries, ...infos]);
}

async function writeTensor(out, { type, bytes, scale, silentBytes, shape }, words) {
  if (!type) {
    await out.write(Buffer.from(new Float32Array(shape[0]).fill(1).buffer));
  } else {
    const chunk = Math.floor(chunkBytes / (type.bytes * 2)) * type.bytes * 2;
    const halves = scales(scale);
    for (let done = 0; done < bytes; done += chunk) {
      const length = Math.min(chunk, bytes - done);
      const block = randomBlocks(length, type, halves, words);
      if (done < silentBytes) block.fill(0, 0, Math.min(length, silentBytes - done));
      await out.write(block);
    }
  }
  await out.write(Buffer.alloc(-bytes & (alignment - 1)));
}

/** Random bytes are random weights; only each block's scale has to be put in. */
function randomBlocks(length, type, halves, words) {
  const whole = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < whole.length; i += 1) whole[i] = words();
  const shorts = new Uint16Array(whole.buffer);
  const step = type.bytes / 2;
  for (let i = 0; i * type.bytes < length; i += 1) shorts[i * step] = halves[shorts[i * step] & 31];
  return Buffer.from(whole.buffer, 0, length);
}

/** 32 half-precision scales around `scale`, half of them negative: four-bit values are not symmetric, their mean must be. */
function scales(scale) {
  const values = Float16Array.from({ length: 32 }, (_, i) => (i < 16 ? 1 : -1) * scale * (0.75 + (i % 16) / 30));
  return new Uint16Array(values.buffer);
}

/** xorshift32: fast, and random enough for weights. */
function randomWords(seed) {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  // Neighbouring seeds begin alike.
  for (let i = 0; i < 16; i += 1) next();
  return next;
}

function entry(key, type, value) {
  return Buffer.concat([text(key), u32(valueType[type]), encode(type, value)]);
}

function list(key, type, values) {
  return Buffer.concat([
    text(key),
    u32(valueType.array),
    u32(valueType[type]),
    u64(values.length),
    ...values.map((value) => encode(type, value)),
  ]);
}

function encode(type, value) {
  if (type === 'string') return text(value);
  if (type === 'bool') return Buffer.of(value ? 1 : 0);
  const four = Buffer.alloc(4);
  if (type === 'f32') four.writeFloatLE(value);
  else if (type === 'i32') four.writeInt32LE(value);
  else four.writeUInt32LE(value);
  return four;
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value) {
  return encode('u32', value);
}

function u64(value) {
  const eight = Buffer.alloc(8);
  eight.writeBigUInt64LE(BigInt(value));
  return eight;
}
