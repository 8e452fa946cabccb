// What goes back for a chat completion: the whole answer, or chunks framed as server-sent events.
import {
  type AnswerFormat,
  type AnswerHead,
  type AnswerPiece,
  ChunkFrame,
  type ChunkWriter,
  serinBlock,
  usageOf,
  type WholeChoice,
} from './answer-format.js';
import { errorEvent } from './errors.js';
import { chatLogprobs } from './logprobs.js';
import { wireCall, wireCallPiece } from './tool-calls.js';

export const chatFormat: AnswerFormat = {
  whole: (head, choices, usage, uncertainty) =>
    JSON.stringify({
      id: head.id,
      object: 'chat.completion',
      created: head.createdS,
      model: head.model,
      system_fingerprint: head.fingerprint,
      choices: choices.map((choice, index) => ({
        index,
        message: messageOf(choice),
        logprobs: choice.steps === null ? null : chatLogprobs(choice.steps),
        finish_reason: choice.finishReason,
      })),
      usage: usageOf(usage),
      ...serinBlock(head, uncertainty),
    }),
  chunks: chatChunks,
};

function messageOf({ text, reasoning, calls }: WholeChoice): Record<string, unknown> {
  return {
    role: 'assistant',
    // A turn that only called said nothing, which is not the same as an empty text.
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(wireCall) }),
  };
}

function chatChunks(head: AnswerHead, withUsage: boolean): ChunkWriter {
  const frame = new ChunkFrame(head, 'chat.completion.chunk', withUsage);
  return {
    open: (choice) => frame.around(`{"index":${choice},"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`),
    piece: (choice, piece) => {
      const logprobs = piece.step === null ? 'null' : JSON.stringify(chatLogprobs([piece.step]));
      return frame.around(`{"index":${choice},"delta":${deltaOf(piece)},"logprobs":${logprobs},"finish_reason":null}`);
    },
    finish: (choice, finishReason) => frame.around(`{"index":${choice},"delta":{},"logprobs":null,"finish_reason":"${finishReason}"}`),
    end: (usage, uncertainty) => frame.end(usage, uncertainty),
    cut: errorEvent,
  };
}

function deltaOf({ text, reasoning, calls }: AnswerPiece): string {
  // Nearly every token is text and nothing else.
  if (calls.length === 0 && reasoning === '') return `{"content":${JSON.stringify(text)}}`;
  return JSON.stringify({
    ...(text === '' ? {} : { content: text }),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(wireCallPiece) }),
  });
}
