import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GgufFile,
  type GgufValue,
  ggufBytes,
  metadataWith,
  soundMetadata,
  soundTensors,
  text,
  u32,
  u64,
} from '../../../../test/support/gguf.js';
import { uniforms } from '../../../../test/support/random.js';
import { readGgufHeader } from './header.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-gguf-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function read(bytes: Uint8Array) {
  const path = join(folder, 'model.gguf');
  await writeFile(path, bytes);
  return await readGgufHeader(path);
}

/** The fault's code, or `sound`. */
async function codeOf(bytes: Uint8Array): Promise<string> {
  const header = await read(bytes);
  if (header.ok) return 'sound';
  expect(header.fault).toMatchObject({ field: 'spec.engine.file', retryable: false });
  expect(header.fault.remedy?.length).toBeGreaterThan(20);
  return header.fault.code;
}

const huge = 2n ** 62n;

/** The sound model with another vocabulary, and as many rows in its embedding. */
function withTokens(tokens: readonly string[]): Buffer {
  const [embedding, ...others] = soundTensors;
  if (!embedding) throw new Error('no embedding');
  return ggufBytes({
    metadata: metadataWith('tokenizer.ggml.tokens', { type: 'texts', value: tokens }),
    tensors: [...others, { ...embedding, dimensions: [4, tokens.length], offset: 96 }],
    dataBytes: 96 + 16 * tokens.length,
  });
}

describe('a sound header', () => {
  it('tells what the model is', async () => {
    expect(await read(ggufBytes())).toMatchObject({
      ok: true,
      value: {
        architecture: 'llama',
        name: 'tiny',
        blockCount: 1,
        contextLength: 128,
        embeddingLength: 4,
        headCount: 1,
        vocabularySize: 2,
        vocabularyHash: expect.stringMatching(/^[0-9a-f]{64}$/),
        fileBytes: ggufBytes().length,
      },
    });
  });

  it('is that of every bundled model', async () => {
    const models = join(import.meta.dirname, '../../../../demo/models');
    const files = (await readdir(models)).filter((name) => !name.includes('lora'));
    expect(files.length).toBeGreaterThan(5);
    for (const name of files)
      expect(await readGgufHeader(join(models, name))).toMatchObject({ ok: true, value: { architecture: 'llama', vocabularySize: 2_048 } });
  });

  it('has a vocabulary hash that depends on every token and on their borders', async () => {
    const hashOf = async (tokens: string[]) => {
      const header = await read(withTokens(tokens));
      return header.ok ? header.value.vocabularyHash : null;
    };
    const hashes = await Promise.all(
      [
        ['ab', 'c'],
        ['a', 'bc'],
        ['c', 'ab'],
        ['ab', 'd'],
        ['ab', 'c', ''],
      ].map(async (tokens, index) => {
        const path = join(folder, `vocabulary-${index}.gguf`);
        await writeFile(path, withTokens(tokens));
        const header = await readGgufHeader(path);
        return header.ok ? header.value.vocabularyHash : null;
      }),
    );
    expect(new Set(hashes).size).toBe(5);
    expect(await hashOf(['ab', 'c'])).toBe(hashes[0]);
  });

  it('shows no control characters of the file', async () => {
    const header = await read(ggufBytes({ metadata: metadataWith('general.name', { type: 'text', value: '\u001b[31mred\u202e' }) }));
    expect(header).toMatchObject({ ok: true, value: { name: '?[31mred?' } });
  });
});

describe('a file is refused', () => {
  const scalar = (key: string, value: GgufValue): GgufFile => ({ metadata: metadataWith(key, value) });
  const array = (itemType: number, length: bigint, rest: Buffer = Buffer.alloc(0)): GgufValue => ({
    type: 'raw',
    number: 9,
    bytes: Buffer.concat([u32(itemType), u64(length), rest]),
  });
  const tensor = (more: object): GgufFile => ({
    tensors: [...soundTensors, { name: 't', dimensions: [8], type: 0, offset: 96, ...more }],
    dataBytes: 128,
  });

  it.each<[string, string, GgufFile]>([
    ['with another magic', 'gguf.not-gguf', { magic: 'GGML' }],
    ['of version 1', 'gguf.not-gguf', { version: 1 }],
    ['of a version to come', 'gguf.not-gguf', { version: 4 }],
    ['of the other byte order', 'gguf.not-gguf', { version: 0x03000000 }],
    ['that claims 2^62 tensors', 'gguf.absurd', { tensorCount: huge }],
    ['that claims more tensors than any model has', 'gguf.absurd', { tensorCount: 65_537n }],
    ['that claims 2^62 keys', 'gguf.absurd', { keyCount: huge }],
    ['that claims more keys than it has', 'gguf.absurd', { keyCount: 4_097n }],
    ['with a key of 2^62 bytes', 'gguf.absurd', { metadata: [['', { type: 'raw', number: 0, bytes: Buffer.alloc(0) }]], keyCount: huge }],
    ['with a text of 2^62 bytes', 'gguf.absurd', scalar('general.name', { type: 'raw', number: 8, bytes: u64(huge) })],
    ['with an array of 2^61 numbers', 'gguf.absurd', scalar('x', array(4, 2n ** 61n))],
    ['with an array of 2^61 texts', 'gguf.absurd', scalar('x', array(8, 2n ** 61n))],
    ['with an array of more texts than bytes', 'gguf.truncated', scalar('x', array(8, 1_000_000n))],
    ['with an array of arrays', 'gguf.absurd', scalar('x', array(9, 1n, Buffer.concat([u32(4), u64(0)])))],
    ['with an unknown type of value', 'gguf.absurd', scalar('x', { type: 'raw', number: 77, bytes: Buffer.alloc(0) })],
    ['with a key twice', 'gguf.absurd', { metadata: [...soundMetadata, ['general.name', { type: 'text', value: 'again' }]] }],
    ['without an architecture', 'gguf.absurd', { metadata: soundMetadata.filter(([key]) => key !== 'general.architecture') }],
    ['with a number for an architecture', 'gguf.absurd', scalar('general.architecture', { type: 'u32', value: 7 })],
    [
      'with an escape sequence for an architecture',
      'gguf.absurd',
      scalar('general.architecture', { type: 'text', value: '\u001b]0;x\u0007' }),
    ],
    ['without blocks', 'gguf.absurd', scalar('llama.block_count', { type: 'u32', value: 0 })],
    ['with 513 blocks, which would abort llama.cpp', 'gguf.absurd', scalar('llama.block_count', { type: 'u32', value: 513 })],
    ['with half a block', 'gguf.absurd', scalar('llama.block_count', { type: 'f32', value: 1.5 })],
    ['with blocks beyond any number', 'gguf.absurd', scalar('llama.block_count', { type: 'u64', value: 2n ** 64n - 1n })],
    ['with an alignment of zero', 'gguf.absurd', scalar('general.alignment', { type: 'u32', value: 0 })],
    ['with an alignment that is no power of two', 'gguf.absurd', scalar('general.alignment', { type: 'u32', value: 48 })],
    [
      'with an alignment of another type, which would abort llama.cpp',
      'gguf.absurd',
      scalar('general.alignment', { type: 'u64', value: 32n }),
    ],
    ['with a tensor without dimensions', 'gguf.absurd', tensor({ dimensions: [] })],
    ['with a tensor of five dimensions', 'gguf.absurd', tensor({ dimensions: [2, 1, 1, 1, 4] })],
    ['with an empty tensor', 'gguf.absurd', tensor({ dimensions: [8, 0] })],
    ['with a tensor whose size overflows', 'gguf.absurd', tensor({ dimensions: [2n ** 40n, 2n ** 40n] })],
    ['with a tensor of unknown type', 'gguf.absurd', tensor({ type: 99 })],
    ['with a misaligned tensor', 'gguf.absurd', tensor({ dimensions: [1], offset: 100 })],
    ['with a tensor beyond its end', 'gguf.truncated', tensor({ offset: 128 })],
    ['with a tensor that is longer than the file', 'gguf.truncated', tensor({ dimensions: [9] })],
    ['with a tensor twice', 'gguf.absurd', tensor({ name: 'token_embd.weight' })],
    ['with rows that are no whole number of blocks', 'gguf.absurd', tensor({ dimensions: [16, 2], type: 8 })],
  ])('%s', async (_what, code, file) => {
    expect(await codeOf(ggufBytes(file))).toBe(code);
  });

  it('cut at any byte of its header or of its tensors', { timeout: 60_000 }, async () => {
    const whole = ggufBytes();
    expect(await codeOf(whole)).toBe('sound');
    for (let length = 0; length < whole.length; length += 1)
      expect(await codeOf(whole.subarray(0, length)), `${length} bytes`).toBe(length < 4 ? 'gguf.not-gguf' : 'gguf.truncated');
  });

  it('that is missing, or no file at all', async () => {
    for (const [path, code] of [
      [join(folder, 'nothing.gguf'), 'gguf.unreadable'],
      [folder, 'gguf.not-gguf'],
    ] as const)
      expect(await readGgufHeader(path)).toMatchObject({ ok: false, fault: { code, field: 'spec.engine.file' } });
  });

  it('with a name that would end a log line or fill it', async () => {
    const key = `k\r\n{"level":"fatal"}${'x'.repeat(500)}`;
    const header = await read(ggufBytes({ metadata: [[key, { type: 'raw', number: 77, bytes: Buffer.alloc(0) }]] }));
    const message = header.ok ? '' : header.fault.message;
    expect(message).not.toMatch(/[\r\n]/);
    expect(message.length).toBeLessThan(250);
  });

  it('whose single text is longer than the file, without taking the memory for it', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const file = Buffer.concat([
      ggufBytes({ metadata: [], tensors: [], keyCount: 1n }).subarray(0, 24),
      text('tokenizer.chat_template'),
      u32(8),
      u64(4 << 20),
    ]);
    expect(await codeOf(file)).toBe('gguf.truncated');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });
});

describe('whatever single byte of a sound header is changed', { timeout: 60_000 }, () => {
  it('the answer is a header or a fault, never an exception, never a wait without end', async () => {
    const sound = ggufBytes();
    const uniform = uniforms(42);
    for (let at = 0; at < sound.length; at += 1) {
      for (const value of [0xff, (sound[at] ?? 0) ^ (1 + Math.floor(uniform() * 254))]) {
        const bytes = Buffer.from(sound);
        bytes[at] = value;
        expect(['sound', 'gguf.not-gguf', 'gguf.truncated', 'gguf.absurd']).toContain(await codeOf(bytes));
      }
    }
  });

  it('so also of noise behind a good beginning', async () => {
    const uniform = uniforms(43);
    for (let run = 0; run < 300; run += 1) {
      const noise = Buffer.from(Array.from({ length: 200 }, () => Math.floor(uniform() * (run % 2 ? 4 : 256))));
      const head = ggufBytes().subarray(0, 24 + (run % 40));
      expect(['sound', 'gguf.truncated', 'gguf.absurd']).toContain(await codeOf(Buffer.concat([head, noise])));
    }
  });
});

it('a bundled model with a changed block count is refused before anything native sees it', async () => {
  const bytes = await readFile(join(import.meta.dirname, '../../../../demo/models/demo-support-v1-stable.gguf'));
  const at = bytes.indexOf('.block_count') + '.block_count'.length + 4;
  bytes.writeUInt32LE(513, at);
  expect(await codeOf(bytes)).toBe('gguf.absurd');
});
