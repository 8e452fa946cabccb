// What goes back for a plain completion: the whole answer, or chunks of the same shape.
import { type AnswerFormat, type AnswerHead, ChunkFrame, type ChunkWriter, serinBlock, usageOf } from './answer-format.js';
import { errorEvent } from './errors.js';
import { LegacyLogprobs } from './logprobs.js';

export const completionFormat: AnswerFormat = {
  whole: (head, choices, usage, uncertainty) =>
    JSON.stringify({
      id: head.id,
      object: 'text_completion',
      created: head.createdS,
      model: head.model,
      system_fingerprint: head.fingerprint,
      choices: choices.map(({ text, finishReason, steps }, index) => ({
        text,
        index,
        logprobs: steps === null ? null : new LegacyLogprobs().of(steps),
        finish_reason: finishReason,
      })),
      usage: usageOf(usage),
      ...serinBlock(head, uncertainty),
    }),
  chunks: completionChunks,
};

function completionChunks(head: AnswerHead, withUsage: boolean): ChunkWriter {
  const frame = new ChunkFrame(head, 'text_completion', withUsage);
  const told = new Map<number, LegacyLogprobs>();
  const logprobsOf = (choice: number): LegacyLogprobs => {
    const known = told.get(choice) ?? new LegacyLogprobs();
    told.set(choice, known);
    return known;
  };
  return {
    open: () => '',
    piece: (choice, { text, step }) => {
      const logprobs = step === null ? 'null' : JSON.stringify(logprobsOf(choice).of([step]));
      return frame.around(`{"text":${JSON.stringify(text)},"index":${choice},"logprobs":${logprobs},"finish_reason":null}`);
    },
    finish: (choice, finishReason) => frame.around(`{"text":"","index":${choice},"logprobs":null,"finish_reason":"${finishReason}"}`),
    end: (usage, uncertainty) => frame.end(usage, uncertainty),
    cut: errorEvent,
  };
}
