// What goes back for a chat completion: the whole answer, or chunks framed as server-sent events.
import { type AnswerFormat, type AnswerHead, ChunkFrame, type ChunkWriter, serinBlock, usageOf } from './answer-format.js';
import { chatLogprobs } from './logprobs.js';

export const chatFormat: AnswerFormat = {
  whole: (head, choices, usage, uncertainty) =>
    JSON.stringify({
      id: head.id,
      object: 'chat.completion',
      created: head.createdS,
      model: head.model,
      system_fingerprint: head.fingerprint,
      choices: choices.map(({ text, finishReason, steps }, index) => ({
        index,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: steps === null ? null : chatLogprobs(steps),
        finish_reason: finishReason,
      })),
      usage: usageOf(usage),
      ...serinBlock(head, uncertainty),
    }),
  chunks: chatChunks,
};

function chatChunks(head: AnswerHead, withUsage: boolean): ChunkWriter {
  const frame = new ChunkFrame(head, 'chat.completion.chunk', withUsage);
  return {
    open: (choice) => frame.around(`{"index":${choice},"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`),
    piece: (choice, text, step) => {
      const logprobs = step === null ? 'null' : JSON.stringify(chatLogprobs([step]));
      return frame.around(`{"index":${choice},"delta":{"content":${JSON.stringify(text)}},"logprobs":${logprobs},"finish_reason":null}`);
    },
    finish: (choice, finishReason) => frame.around(`{"index":${choice},"delta":{},"logprobs":null,"finish_reason":"${finishReason}"}`),
    end: (usage, uncertainty) => frame.end(usage, uncertainty),
  };
}
