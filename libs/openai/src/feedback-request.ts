// `POST /v1/feedback`, an extension: what an earlier answer was worth, by whoever read it.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { parseBody, type RequestFault } from './fields.js';

const feedbackBody = z.strictObject({
  /** `x-request-id` of the answer. */
  request_id: z.string().min(8).max(128),
  /** 0: useless, 1: could not be better. A thumb is 0 or 1. */
  score: z.number().min(0).max(1),
});

export type FeedbackBody = z.infer<typeof feedbackBody>;

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseFeedbackBody(value: unknown): Outcome<FeedbackBody, RequestFault> {
  return parseBody(feedbackBody, value);
}
