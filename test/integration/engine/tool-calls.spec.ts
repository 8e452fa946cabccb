// Functions on a real model: calls are held to names and schemas from the first token where one is asked for, and from the model's own beginning where not.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateRequest, NativeEngine, ToolCallDelta, ToolDefinition } from '#libs/engine';
import { anEngine, type Generated, generate, greedy, question } from '../../support/engine.js';
import { demoModels } from '../../support/gateway.js';
import { readGguf, text, withEntry, writeGguf } from '../../support/gguf-editor.js';

const tools: readonly ToolDefinition[] = [
  {
    name: 'move_date',
    description: 'Adds days to a date.',
    parameters: {
      type: 'object',
      properties: { days: { type: 'integer', minimum: 1, maximum: 99 }, kind: { enum: ['parcel', 'letter'] } },
      required: ['days', 'kind'],
      additionalProperties: false,
    },
    strict: true,
  },
  { name: 'now', strict: false },
];
const sampling = { ...greedy, maxTokens: 120 };

let engine: NativeEngine;
beforeAll(async () => {
  engine = await anEngine({ contextSize: 1024 });
});
afterAll(async () => engine.unload(0));

function callsOf({ tokens }: Generated, choice = 0): { name: string; arguments: string }[] {
  const calls: { name: string; arguments: string }[] = [];
  for (const { index, name, arguments: given } of tokens
    .filter((one) => one.choice === choice)
    .flatMap((one): readonly ToolCallDelta[] => one.toolCalls ?? [])) {
    calls[index] ??= { name: '', arguments: '' };
    const call = calls[index];
    call.name += name ?? '';
    call.arguments += given ?? '';
  }
  return calls;
}

const using = async (use: Partial<NonNullable<GenerateRequest['tools']>>, more: Partial<GenerateRequest> = {}) =>
  await generate(engine, { sampling, tools: { tools, choice: 'auto', parallel: false, ...use }, ...more });

describe('a call that is asked for', () => {
  it('is one of the functions, with arguments by its schema', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const answer = await using({ choice: 'required' }, { sampling: { ...sampling, temperature: 1.5, seed } });
      expect(answer.reasons).toEqual(['tool_calls']);
      expect(answer.texts.join('')).toBe('');
      const [call, ...others] = callsOf(answer);
      expect(others).toEqual([]);
      const given = JSON.parse(call?.arguments ?? '') as { days: number; kind: string };
      if (call?.name === 'now') expect(given).toEqual({});
      else {
        expect(call?.name).toBe('move_date');
        expect(given.days).toBeGreaterThanOrEqual(1);
        expect(given.days).toBeLessThanOrEqual(99);
        expect(['parcel', 'letter']).toContain(given.kind);
      }
    }
  });

  it('is the named function', async () => {
    for (const { name } of tools)
      expect(callsOf(await using({ choice: { name } }))).toEqual([{ name, arguments: expect.stringMatching(/^\{/) }]);
  });

  it('is made by every choice on its own', async () => {
    const answer = await using({ choice: { name: 'move_date' } }, { choices: 3, sampling: { ...sampling, temperature: 1.5, seed: 5 } });
    expect(answer.reasons).toEqual(['tool_calls', 'tool_calls', 'tool_calls']);
    for (const choice of [0, 1, 2]) expect(JSON.parse(callsOf(answer, choice)[0]?.arguments ?? '')).toHaveProperty('days');
  });

  it('says that it was cut', async () => {
    const answer = await using({ choice: { name: 'move_date' } }, { sampling: { ...sampling, maxTokens: 3 } });
    expect(answer.reasons).toEqual(['length']);
    expect(callsOf(answer)[0]?.name).toBe('move_date');
  });

  it('is refused when its strict schema cannot be held, and held to an object when it is not strict', async () => {
    const parameters = {
      type: 'object',
      properties: { a: { type: 'string', contentEncoding: 'base64', pattern: '(?=x)y' } },
      required: ['a'],
    };
    const one = (strict: boolean) => using({ tools: [{ name: 'odd', parameters, strict }], choice: 'required' });
    await expect(one(true)).rejects.toThrow(/tools\.0\.function\.parameters/);
    expect(callsOf(await one(false))[0]?.arguments).toMatch(/^\{/);
  });
});

describe('an answer that may call', () => {
  it('says what it would have said where the model begins no call', async () => {
    const free = await using({ tools: [tools[1] as ToolDefinition] });
    expect(free.reasons).toEqual(['stop']);
    expect(callsOf(free)).toEqual([]);
    expect(free.texts[0]?.length).toBeGreaterThan(3);
  });

  it('is held to its own schema or calls, when both are given', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
    const constraint = { kind: 'jsonSchema', schema } as const;
    const said = await using({}, { constraint, sampling: { ...sampling, logitBias: [[await tokenOf('<'), -100]] } });
    expect(said.reasons).toEqual(['stop']);
    expect(typeof (JSON.parse(said.texts[0] ?? '') as { ok: unknown }).ok).toBe('boolean');
    const called = await using({}, { constraint, sampling: { ...sampling, logitBias: [[await tokenOf('<'), 100]] } });
    expect(called.reasons).toEqual(['tool_calls']);
    expect(called.texts.join('')).toBe('');
    expect(callsOf(called)).toHaveLength(1);
  });
});

async function tokenOf(wanted: string): Promise<number> {
  const [scored] = await engine.score({ id: 'token', context: null, continuations: [wanted] }, AbortSignal.timeout(30_000));
  const token = scored?.tokens.at(-1);
  if (!token) throw new Error('no token');
  expect(token.text).toContain(wanted);
  return token.token;
}

/** Calls are written as the demo's answers begin, so that the model makes them of itself. */
const template = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}{% if message['tool_calls'] %}{{ message['content'] }}{% for call in message['tool_calls'] %}{{ '2026-12-' + call['function']['name'] + '/' + (call['function']['arguments'] | tojson) + ';' }}{% endfor %}{% else %}{{ message['content'] }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}{% if tools %}{% endif %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

describe('a model whose template writes calls its own way', () => {
  let folder: string;
  let own: NativeEngine;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serin-tools-'));
    const content = readGguf(await readFile(`${demoModels}/demo-support-v1-stable.gguf`));
    const file = join(folder, 'tools.gguf');
    await writeFile(file, writeGguf(withEntry(content, 'tokenizer.chat_template', 8, text(template))));
    own = await anEngine({ file, contextSize: 1024 });
  });
  afterAll(async () => {
    await own?.unload(0);
    await rm(folder, { recursive: true, force: true });
  });

  it('calls where it begins to of itself, and is held to the rest', async () => {
    const answer = await generate(own, { sampling, tools: { tools: [tools[0] as ToolDefinition], choice: 'auto', parallel: false } });
    expect(answer.reasons).toEqual(['tool_calls']);
    expect(answer.texts.join('')).toBe('');
    const [call] = callsOf(answer);
    expect(call?.name).toBe('move_date');
    expect(JSON.parse(call?.arguments ?? '')).toEqual({ days: expect.any(Number), kind: expect.stringMatching(/parcel|letter/) });
    expect(answer.end.usage.outputTokens).toBeGreaterThan(5);
  });

  it('reads its calls and their results in later turns, and answers in text when nothing may be called', async () => {
    const messages = [
      { role: 'user', content: question },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'move_date', arguments: '{"days": 2, "kind": "parcel"}' }] },
      { role: 'tool', content: '2026-12-13', toolCallId: 'call_1' },
      { role: 'user', content: question },
    ] as const;
    const answer = await generate(own, { prompt: { kind: 'chat', messages }, sampling: { ...sampling, maxTokens: 12 } });
    expect(callsOf(answer)).toEqual([]);
    expect(answer.end.usage.inputTokens).toBeGreaterThan(60);
    const without = await generate(own, { prompt: { kind: 'chat', messages: [messages[3]] }, sampling: { ...sampling, maxTokens: 12 } });
    expect(answer.end.usage.inputTokens).toBeGreaterThan(without.end.usage.inputTokens + 20);
  });
});
