// A stream and a whole answer are two ways to say the same: whatever the tokens, reading the chunks together gives the whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnswerFormat, FinishReason, ToldStep } from './answer-format.js';
import { chatFormat } from './chat-response.js';
import { completionFormat } from './completion-response.js';

const head = { id: 'x-1', createdS: 1, model: 'm "1"', version: 'v1', fingerprint: 'fp_0' };

interface Event {
  readonly choice: number;
  readonly text: string;
  readonly step: ToldStep | null;
}

/** Text cut anywhere between its bytes: what an engine emits is the characters that are whole so far. */
function eventsOf(choice: number, bytes: Uint8Array, cuts: readonly number[], logprobs: boolean): Event[] {
  const decoder = new TextDecoder();
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((one, other) => one - other).concat(bytes.length);
  let from = 0;
  return ends.map((end, index) => {
    const piece = bytes.subarray(from, end);
    from = end;
    const told = { text: new TextDecoder().decode(piece), bytes: [...piece], logprob: -index / 8 };
    return { choice, text: decoder.decode(piece, { stream: end < bytes.length }), step: logprobs ? { ...told, top: [told] } : null };
  });
}

const choiceBytes = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => Buffer.from(text, 'utf8'));
const answers = fc.record({
  choices: fc.array(fc.tuple(choiceBytes, fc.array(fc.nat(200), { maxLength: 12 })), { minLength: 1, maxLength: 4 }),
  logprobs: fc.boolean(),
  withUsage: fc.boolean(),
  reasons: fc.infiniteStream(fc.constantFrom<FinishReason>('stop', 'length')),
  order: fc.infiniteStream(fc.nat(1_000)),
});

/** Draws from the choices in any order, each one's own tokens in theirs. */
function interleaved(queues: readonly Event[][], order: Iterator<number>): Event[] {
  const left = queues.map((queue) => [...queue]);
  const all: Event[] = [];
  for (let waiting = left.filter((queue) => queue.length > 0); waiting.length > 0; waiting = left.filter((queue) => queue.length > 0)) {
    const next = waiting[(order.next().value as number) % waiting.length]?.shift();
    if (next) all.push(next);
  }
  return all;
}

type Json = Record<string, unknown>;
type ChunkChoice = { index: number; text?: string; delta?: { content?: string }; logprobs: Json | null; finish_reason: string | null };

function joined(chunks: readonly { choices: ChunkChoice[] }[], count: number) {
  return Array.from({ length: count }, (_, index) => {
    const own = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
    const logprobs: Record<string, unknown[]> = {};
    for (const { logprobs: told } of own) {
      for (const [name, value] of Object.entries(told ?? {})) {
        if (Array.isArray(value)) logprobs[name] = [...(logprobs[name] ?? []), ...value];
      }
    }
    return {
      text: own.map((choice) => choice.delta?.content ?? choice.text ?? '').join(''),
      logprobs,
      reasons: own.flatMap((choice) => (choice.finish_reason === null ? [] : [choice.finish_reason])),
    };
  });
}

describe.each<[string, AnswerFormat]>([
  ['chat', chatFormat],
  ['plain', completionFormat],
])('the chunks of a %s answer', (_name, format) => {
  it('read together are the whole answer, token by token, and each choice finishes once', () => {
    fc.assert(
      fc.property(answers, ({ choices, logprobs, withUsage, reasons, order }) => {
        const queues = choices.map(([bytes, cuts], choice) => eventsOf(choice, bytes, cuts, logprobs));
        const finishReasons = choices.map(() => reasons.next().value as FinishReason);
        const usage = { inputTokens: 3, outputTokens: 5, cachedTokens: 1 };
        const writer = format.chunks(head, withUsage);
        const opened = new Set<number>();
        let wire = '';
        for (const { choice, text, step } of interleaved(queues, order)) {
          if (!opened.has(choice)) wire += writer.open(choice);
          opened.add(choice);
          wire += writer.piece(choice, { text, step, reasoning: '', calls: [] });
        }
        for (const [choice, reason] of finishReasons.entries()) wire += writer.finish(choice, reason);
        wire += writer.end(usage, null);

        const events = wire.split('\n\n').slice(0, -1);
        expect(events.pop()).toBe('data: [DONE]');
        const chunks = events.map((event) => JSON.parse(event.slice(6)) as { choices: ChunkChoice[]; usage?: Json });
        const whole = JSON.parse(
          format.whole(
            head,
            queues.map((queue, index) => ({
              text: queue.map((event) => event.text).join(''),
              reasoning: '',
              calls: [],
              finishReason: finishReasons[index] ?? 'stop',
              steps: logprobs ? queue.flatMap((event) => event.step ?? []) : null,
            })),
            usage,
            null,
          ),
        ) as { choices: (ChunkChoice & { message?: { content: string } })[]; usage: Json };

        const parts = joined(chunks, choices.length);
        for (const [index, choice] of whole.choices.entries()) {
          const part = parts[index];
          expect(part?.text).toBe(choice.message?.content ?? choice.text);
          expect(part?.text).toBe(Buffer.from(choices[index]?.[0] ?? []).toString('utf8'));
          expect(part?.reasons).toEqual([choice.finish_reason]);
          const { refusal: _refusal, ...told } = choice.logprobs ?? {};
          expect(part?.logprobs).toEqual(told);
        }
        expect(chunks.at(-1)?.usage ?? null).toEqual(withUsage ? whole.usage : null);
      }),
      { numRuns: 300 },
    );
  });
});
