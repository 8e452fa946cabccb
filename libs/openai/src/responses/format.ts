// How a response leaves: it repeats what was asked, so its format belongs to one request.
import { type AnswerFormat, serinBlock } from '../answer-format.js';
import { ResponseEvents } from './events.js';
import { outputOf, responseObject, statusOf } from './object.js';
import type { ResponseBody } from './request.js';

export function responseFormatOf(body: ResponseBody): AnswerFormat {
  return {
    whole: (head, [choice], usage, uncertainty) => {
      if (!choice) throw new Error('a response has no choice to tell');
      const { finishReason } = choice;
      const progress = { status: statusOf(finishReason), output: outputOf(head, choice), usage, finishReason };
      return JSON.stringify({ ...responseObject(body, head, progress), ...serinBlock(head, uncertainty) });
    },
    chunks: (head) => new ResponseEvents(body, head),
  };
}
